import type { Judged, Rows, TableDifferences } from './judged.ts';
import { type Found, rowsByIndex, rowsByKey, transpose } from './lookup.ts';
import { isAlike, isKey, type UniqueIndex } from './relation.ts';
import type { TablePair } from './table-pair.ts';

/** Unique indexes and exclusion constraints in which a row that comes back could meet another one. */
export function checkedUniques(pair: TablePair): UniqueIndex[] {
  const common = new Set(pair.restored.columns.map((column) => column.name));
  return pair.production.uniques.filter(
    (index) =>
      index.reads.every((column) => common.has(column)) &&
      (index.name !== pair.key.name || !pair.keyIsExact || !isKey(pair.production, index)),
  );
}

/** The rows of a side that a unique index keeps apart from others, and what is in it of them, column by column. */
export async function indexed(
  { sides }: Judged,
  { table, batch }: Pick<Rows, 'table' | 'batch'>,
  side: 'production' | 'restored',
  index: UniqueIndex,
  expressions = index.parts.map((part) => part.expression),
): Promise<{ rows: Found[]; values: (string | null)[][] }> {
  const found = await rowsByKey(sides, table.pair, side, batch.columns, expressions, index.predicate);
  const rows = found.filter((row) => !index.nullsDistinct || row.values.every((value) => value !== null));
  const values = transpose(
    rows.map((row) => row.values),
    expressions.length,
  );
  return { rows, values };
}

/** Rows whose unique values another row will hold. */
export async function clashing(judged: Judged, { table, kind, batch }: Rows): Promise<string[]> {
  const { pair } = table;
  const clashing: string[] = [];
  for (const index of checkedUniques(pair)) {
    // Equal numbers written alike: twins are told by the text of their values.
    const expressions = index.parts.map(({ expression, type }) =>
      type === 'numeric' && !index.exclusion ? `pg_catalog.trim_scale(${expression})` : expression,
    );
    const { rows: coming, values } = await indexed(judged, { table, batch }, 'restored', index, expressions);
    if (coming.length === 0) continue;
    clashing.push(...twins(judged, table, index, coming));
    const holders = (await rowsByIndex(judged.sides, pair, 'production', index, values)).filter(
      ({ position, line }) => kind === 'missing' || line !== coming[position]?.line,
    );
    const staying = await judged.staying(table, holders);
    for (const [at, { position }] of holders.entries()) {
      if (staying[at] === true) clashing.push(coming[position]?.line as string);
    }
  }
  return clashing;
}

/** Of rows that come back with the same value in an index that is new since, all but the first. */
function twins(
  judged: Judged,
  { pair }: TableDifferences,
  index: UniqueIndex,
  coming: readonly Found[],
): string[] {
  if (index.exclusion || pair.restored.uniques.some((other) => isAlike(other, index))) return [];
  const seen = judged.seen.get(index) ?? new Map<string, string>();
  judged.seen.set(index, seen);
  return coming.flatMap(({ line, values }) => {
    const value = JSON.stringify(values);
    const first = seen.get(value) ?? line;
    seen.set(value, first);
    return first === line ? [] : [line];
  });
}

/** Rows that come back with unique values that these keep. */
export async function wantersOf(judged: Judged, { table, batch }: Rows): Promise<Rows[]> {
  const { pair } = table;
  const found: Rows[] = [];
  for (const index of checkedUniques(pair)) {
    const { rows: held, values } = await indexed(judged, { table, batch }, 'production', index);
    if (held.length === 0) continue;
    const rows = await rowsByIndex(judged.sides, pair, 'restored', index, values);
    found.push(...(await judged.openRows(table, rows, ['missing', 'changed'])));
  }
  return found;
}
