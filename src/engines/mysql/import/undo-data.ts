/**
 * What an import keeps so that it can be taken back. `UndoTable` of the contract, as MySQL and MariaDB fill it:
 *
 * - `table`, `created`: `db.table` in the form of model/table.ts. `createdId`: what it
 *   holds, as `contentOf` of undo/created-table.ts says it.
 * - `key`: the identifying columns, in order; null: rows are told apart by their hash, and equal ones are counted.
 * - `columns`: every column of production's table that is not computed, in order. What `replaced` holds, and what a
 *   row's hash covers (`rowHashSql` of row-hash.ts over these columns).
 * - `definitions`: types and character sets of `columns`: texts are kept as bytes, enumerations by their numbers.
 * - `inserted`: what the import wrote, one {@link WrittenRow} a line: rows that it inserted, and those that it updated.
 *   A row whose hash is another by now was changed by others since. Of a table that it made: null.
 * - `replaced`: what it took away, one {@link ReplacedRow} a line: rows that it updated or deleted, as they were.
 * - `counts`: as of the contract. Without a key nothing is updated: such rows are deleted and inserted.
 *
 * Lines are zstd-compressed: values as `readValue` of compare/values.ts selects them, in bytes, with tabs between them
 * ({@link encodeLine}). Several objects are one stream in several pieces.
 */
export interface WrittenRow {
  /** `i` inserted, `u` updated */
  how: 'i' | 'u';
  /** of the row as the import left it, in digits */
  hash: string;
  /** values of the key, in its order; without a key: how many such rows, in digits */
  key: Value[];
}

/** Without a key every row is a line of its own. */
export interface ReplacedRow {
  /** `u` updated, `d` deleted */
  how: 'u' | 'd';
  /** in the order of `columns` */
  values: Value[];
}

/** Bytes as `readValue` gives them; null: NULL. */
export type Value = Buffer | null;

/** Names of the objects in the undo store, by the table's place in the import. */
export const WRITTEN = (index: number) => `${index}.written.zst`;
export const REPLACED = (index: number) => `${index}.replaced.zst`;

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n' };

/** One line with its newline. `\N` is NULL; backslash, tab and newline are escaped; any other byte stands as it is. */
export function encodeLine(fields: readonly (Value | string)[]): Buffer {
  const texts = fields.map((field) => {
    if (field === null) return '\\N';
    const text = typeof field === 'string' ? field : field.toString('latin1');
    return text.replace(/[\\\t\n]/g, (found) => ESCAPES[found] as string);
  });
  return Buffer.from(`${texts.join('\t')}\n`, 'latin1');
}

/** The fields of a line without its newline. */
export function decodeLine(line: Buffer): Value[] {
  return line
    .toString('latin1')
    .split('\t')
    .map((field) => {
      if (field === '\\N') return null;
      const text = field.replace(/\\(.)/g, (_, escaped: string) =>
        escaped === 't' ? '\t' : escaped === 'n' ? '\n' : escaped,
      );
      return Buffer.from(text, 'latin1');
    });
}

/** The lines of uncompressed pieces, in memory that holds one line and one piece. */
export async function* decodeLines(pieces: AsyncIterable<Buffer>): AsyncGenerator<Value[]> {
  let rest: Buffer[] = [];
  for await (const piece of pieces) {
    let from = 0;
    for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, from)) {
      const line = piece.subarray(from, end);
      yield decodeLine(rest.length === 0 ? line : Buffer.concat([...rest, line]));
      rest = [];
      from = end + 1;
    }
    if (from < piece.length) rest.push(piece.subarray(from));
  }
}

export function writtenRow([how, hash, ...key]: Value[]): WrittenRow {
  return { how: String(how) as WrittenRow['how'], hash: String(hash), key };
}

export function replacedRow([how, ...values]: Value[]): ReplacedRow {
  return { how: String(how) as ReplacedRow['how'], values };
}
