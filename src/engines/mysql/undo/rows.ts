import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import type { StoredObject } from '../../../model/backup.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { UndoPlanInput } from '../../contract/change.ts';
import { writeUndoData } from '../../undo-stream.ts';
import { insertRows } from '../compare/insert-rows.ts';
import { defineColumns, hashOf } from '../compare/scratch.ts';
import { type Column, columnsOf } from '../compare/table.ts';
import { readValue, writeValue } from '../compare/values.ts';
import type { Connection } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { quoteIdentifier } from '../identifier.ts';
import { decodeLines, encodeLine, replacedRow, type Value, writtenRow } from '../import/undo-data.ts';
import { identifying, judgedColumns, type UndoneTable } from './undone-table.ts';

/**
 * Every row of a table's undo data, in a temporary table of the session: of an inserted row the key, of a replaced one
 * all columns as they were. With a key one row for each key; without one, a written row stands for `holdfast_count` equal
 * ones. Beside what undo-actions.ts reads:
 * - `holdfast_hash` as the import left the row; `holdfast_before` as it was before; `holdfast_now` as it is, null: absent
 * - `holdfast_there` without a key: how many such rows there are now
 */
const MARKS = `holdfast_n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  holdfast_kind CHAR(1) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL,
  holdfast_hash BIGINT UNSIGNED NULL, holdfast_count INT UNSIGNED NOT NULL,
  holdfast_before BIGINT UNSIGNED NULL, holdfast_now BIGINT UNSIGNED NULL, holdfast_there INT UNSIGNED NOT NULL DEFAULT 0,
  holdfast_state CHAR(1) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'a',
  holdfast_left CHAR(1) CHARACTER SET latin1 COLLATE latin1_bin NULL`;

/** How many equal rows go, of which fewer may be there. */
export const GOING = (s: string) =>
  `IF(${s}.holdfast_hash IS NOT NULL AND ${s}.holdfast_there > 0, LEAST(${s}.holdfast_count, ${s}.holdfast_there), 1)`;

/** Makes the table and fills it. Throws ChecksumMismatch, and NotSupported where columns do not take their own values any more. */
export async function fillRows(
  session: Connection,
  table: UndoneTable,
  read: UndoPlanInput['read'],
  run: Run,
): Promise<void> {
  const { rows, data, compared } = table;
  const { production, key } = compared.pair;
  const columns = columnsOf(production, data.columns);
  const keys = key === null ? [] : columnsOf(production, key);
  const isKey = ({ name }: { name: string }) => key?.includes(name) === true;
  const index =
    key === null
      ? 'KEY (holdfast_hash)'
      : `UNIQUE KEY (${keys.map(({ name }) => quoteIdentifier(name)).join(', ')})`;
  await session.execute(
    `CREATE TEMPORARY TABLE ${rows} (${MARKS}, ${defineColumns(columns, isKey)}, ${index}) ENGINE=InnoDB`,
  );
  await createPlaces(session, table);
  run.progress({ phase: `reading the undo data of ${data.table}` });
  const own = (names: readonly string[]) => names.map(quoteIdentifier).join(', ');
  const lines = (objects: StoredObject[]) => linesOf(objects, read, run.signal);
  const unfit = () =>
    new HoldfastError(
      'NotSupported',
      `the import into ${data.table} cannot be taken back: its columns do not take the values any more that they had`,
      { hint: 'recover to the moment before the import instead: holdfast restore pitr' },
    );
  const fill = (into: string, values: AsyncIterable<string>, after = '') =>
    insertRows(session, into, values, { after }).catch((error: unknown) => {
      throw UNFIT.includes(refusalOf(error) ?? 0) ? unfit() : error;
    });
  /** A session that is lenient cuts what does not fit: so the values are read again. */
  const requireSame = async (loaded: ValueSum, read: readonly Column[], where: string) => {
    const there = new ValueSum();
    const values = read.map((column) => readValue(column, 's')).join(', ');
    for await (const row of session.stream(`SELECT ${values} FROM ${rows} AS s WHERE ${where}`))
      there.add(row);
    if (there.value !== loaded.value) throw unfit();
  };
  const head = 'holdfast_kind, holdfast_hash, holdfast_count';
  if (data.inserted !== null) {
    const into = `${rows} (${head}${key === null ? '' : `, ${own(key)}`})`;
    const loaded = new ValueSum();
    await fill(into, written(lines(data.inserted), loaded));
    if (key !== null) await requireSame(loaded, keys, 'TRUE');
  }
  if (data.replaced !== null) {
    // A row that was updated is in both.
    const again = data.columns.map((name) => `${quoteIdentifier(name)} = VALUES(${quoteIdentifier(name)})`);
    const after = key === null ? '' : `ON DUPLICATE KEY UPDATE holdfast_kind = 'u', ${again.join(', ')}`;
    const loaded = new ValueSum();
    await fill(`${rows} (${head}, ${own(data.columns)})`, replaced(lines(data.replaced), loaded), after);
    await requireSame(loaded, columns, "s.holdfast_kind <> 'i'");
    await session.execute(
      `UPDATE ${rows} AS s SET s.holdfast_before = ${hashOf(compared.pair, 's')} WHERE s.holdfast_kind <> 'i'`,
    );
  }

  async function* written(all: AsyncIterable<Value[]>, sum: ValueSum): AsyncGenerator<string> {
    for await (const line of all) {
      const { how, hash, key: values } = writtenRow(line);
      sum.add(values);
      const count = key === null ? BigInt(String(values[0])) : 1;
      const texts = keys.map((column, at) => `,${writeValue(column, values[at] as Value)}`);
      yield `('${how === 'u' ? 'u' : 'i'}',${BigInt(hash)},${count}${texts.join('')})`;
    }
  }

  async function* replaced(all: AsyncIterable<Value[]>, sum: ValueSum): AsyncGenerator<string> {
    for await (const line of all) {
      const { how, values } = replacedRow(line);
      sum.add(values);
      const texts = columns.map((column, at) => `,${writeValue(column, values[at] as Value)}`);
      yield `('${how === 'u' ? 'u' : 'd'}',NULL,1${texts.join('')})`;
    }
  }
}

/** Of rows in any order. */
class ValueSum {
  value = 0n;

  add(values: readonly Value[]): void {
    const digest = createHash('sha256').update(encodeLine(values)).digest();
    this.value = BigInt.asUintN(64, this.value + digest.readBigUInt64LE());
  }
}

/** Values that a column refuses: see "Server Error Message Reference". */
const UNFIT = [1048, 1062, 1264, 1265, 1292, 1366, 1406, 1416, 3037, 3140, 4025];

async function* linesOf(
  objects: readonly StoredObject[],
  read: UndoPlanInput['read'],
  signal: AbortSignal,
): AsyncGenerator<Value[]> {
  const through = new PassThrough();
  const writing = writeUndoData(objects, read, through, signal);
  writing.catch(() => {});
  try {
    yield* decodeLines(through);
  } catch (error) {
    // What the writer says of it is for people.
    await writing;
    throw error;
  }
  await writing;
}

/** Places for what is found, and for a judgement. */
async function createPlaces(session: Connection, table: UndoneTable): Promise<void> {
  const { found } = table.compared;
  await session.execute(
    `CREATE TEMPORARY TABLE ${found} (holdfast_n BIGINT UNSIGNED NOT NULL PRIMARY KEY,
       holdfast_now BIGINT UNSIGNED NOT NULL, holdfast_there INT UNSIGNED NOT NULL) ENGINE=InnoDB`,
  );
  const keys = identifying(table);
  const key = `KEY (${keys.map(({ name }) => quoteIdentifier(name)).join(', ')})`;
  const needed = judgedColumns(table);
  for (const { going, coming } of table.mirrors) {
    await session.execute(
      `CREATE TEMPORARY TABLE ${going} (holdfast_what CHAR(1) NOT NULL, ${defineColumns(keys, () => true)}, ${key}) ENGINE=InnoDB`,
    );
    await session.execute(
      `CREATE TEMPORARY TABLE ${coming} (holdfast_n BIGINT UNSIGNED NOT NULL PRIMARY KEY${needed.length === 0 ? '' : `, ${defineColumns(needed, () => false)}`}) ENGINE=InnoDB`,
    );
  }
}
