import { columnOf } from '../compare/describe.ts';
import type { KeyBatch } from '../compare/keys-file.ts';
import { keyCondition } from '../compare/lookup.ts';
import { rowSource, type TablePair } from '../compare/table-pair.ts';
import { quoteIdentifier, quoteLiteral } from '../identifier.ts';

/** Integers are close together where so many numbers of their range, or fewer, come to one key: their rows are read, too. */
const CLOSE = 4;

/**
 * The COPY of the restored copy's rows `t` with these keys. It takes no parameters, and a standby no temporary table:
 * the keys stand in the statement as literals.
 */
export function batchQuery(pair: TablePair, selected: readonly string[], batch: KeyBatch): string {
  const source = rowSource(pair, 'restored', 't');
  const within = closeKeys(pair, batch);
  const from = within === null ? `${keyList(batch)} JOIN ${source} ON ` : `${source} WHERE `;
  return `COPY (SELECT ${selected.join(', ')}
    FROM ${from}${within ?? keyCondition(pair.key, 't', pair.restored)}) TO STDOUT`;
}

function keyList({ columns }: KeyBatch): string {
  const arrays = columns.map((values) => `${quoteLiteral(arrayLiteral(values))}::pg_catalog.text[]`);
  const names = columns.map((_, index) => `holdfast_${index + 1}`);
  return `unnest(${arrays.join(', ')}) AS holdfast(${names.join(', ')})`;
}

function arrayLiteral(values: readonly string[]): string {
  const plain = values.join('","');
  // Two quotes and a comma between any two values, and nothing else to be escaped.
  const isPlain = !plain.includes('\\') && plain.split('"').length === 2 * values.length - 1;
  return isPlain
    ? `{"${plain}"}`
    : `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

/** Of integers that are close together: a bit for each number of their range, and one walk along the index. */
function closeKeys(
  { key, orders, restored }: TablePair,
  { columns: [values = []] }: KeyBatch,
): string | null {
  const [part, ...others] = key.parts;
  if (part === undefined || others.length > 0 || orders[0] !== 'integer') return null;
  if (part.equals !== 'OPERATOR(pg_catalog.=)') return null;
  const [first, last] = [Number(values[0]), Number(values.at(-1))];
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return null;
  const span = last - first + 1;
  if (span > CLOSE * values.length) return null;
  const bits = Buffer.alloc((span + 7) >> 3);
  for (const value of values) {
    const at = Number(value) - first;
    if (at < 0 || at >= span) return null;
    bits[at >> 3] = (bits[at >> 3] as number) | (1 << (at & 7));
  }
  const name = `t.${quoteIdentifier(part.column as string)}`;
  const type = columnOf(restored, part.column as string)?.type ?? part.type;
  const at = `(${name}::pg_catalog.int8 OPERATOR(pg_catalog.-) ${first})::pg_catalog.int4`;
  const compared = (operator: string, value: number) =>
    `${name} OPERATOR(pg_catalog.${operator}) '${value}'::${type}`;
  const within = `${compared('>=', first)} AND ${compared('<=', last)}`;
  const bit = `pg_catalog.get_bit('\\x${bits.toString('hex')}'::pg_catalog.bytea, ${at})`;
  // The CASE keeps a number beyond the range away from the bits, whatever is looked at first.
  return `${within} AND CASE WHEN ${within} THEN ${bit} OPERATOR(pg_catalog.=) 1 END`;
}
