import { quoteIdentifier } from '../identifier.ts';
import { columnOf } from './describe.ts';
import { groupByValues, isWithinKey, type Judged, type Rows } from './judged.ts';
import {
  absentParents,
  type Found,
  parentRows,
  referringRows,
  rowsByKey,
  transpose,
  type Values,
} from './lookup.ts';
import type { ForeignKey, Reference } from './relation.ts';
import { nameOf, type TablePair } from './table-pair.ts';

/** Foreign keys whose values come back with the row; another's column gets a default, which the import checks. */
export function checkedForeignKeys(pair: TablePair): ForeignKey[] {
  return pair.production.foreignKeys.filter((key) =>
    key.columns.every((column) => pair.restored.columns.some((other) => other.name === column)),
  );
}

/** Rows whose parent will not be there. */
export async function withoutParent(judged: Judged, { table, batch }: Rows): Promise<string[]> {
  const orphans: string[] = [];
  for (const key of checkedForeignKeys(table.pair)) {
    const columns = key.columns.map((column) => `t.${quoteIdentifier(column)}`);
    // MATCH SIMPLE: a row with a null in its reference refers to nothing.
    const referring = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
    const children = await rowsByKey(judged.sides, table.pair, 'restored', batch.columns, columns, referring);
    const groups = groupByValues(children);
    if (groups.length === 0) continue;
    const there = await provided(
      judged,
      key,
      transpose(
        groups.map((group) => group.values),
        columns.length,
      ),
    );
    for (const [position, group] of groups.entries()) {
      if (there[position] !== true) orphans.push(...group.lines);
    }
  }
  return orphans;
}

/** Whether, in the end, there will be a parent with these values. */
async function provided(judged: Judged, key: ForeignKey, values: Values): Promise<boolean[]> {
  const parent = judged.byName.get(key.parent);
  const size = values[0]?.length ?? 0;
  const absent =
    parent?.pair.gone === true
      ? new Set(Array.from({ length: size }, (_, position) => position))
      : await absentParents(judged.sides.production, key, values);
  const there = Array.from({ length: size }, (_, position) => !absent.has(position));
  if (parent === undefined) return there;
  if (judged.mayGiveUp(parent, key.parentColumns)) {
    const [some, holders] = await chosen(
      values,
      (position) => there[position] === true,
      (chosen) => parentRows(judged.sides, parent.pair, 'production', key, chosen),
    );
    const staying = await judged.staying(parent, holders);
    for (const position of some) there[position] = false;
    for (const [at, { position }] of holders.entries()) if (staying[at] === true) there[position] = true;
  }
  if (!key.parentColumns.every((column) => parent.pair.columns.includes(column))) return there;
  const [, coming] = await chosen(
    values,
    (position) => there[position] !== true,
    (chosen) => parentRows(judged.sides, parent.pair, 'restored', key, chosen),
  );
  const arriving = await judged.arriving(parent, coming);
  for (const [at, { position }] of coming.entries()) if (arriving[at] === true) there[position] = true;
  return there;
}

/** Looks up some of the values; what is found names positions among all. */
export async function chosen(
  values: Values,
  wanted: (position: number) => boolean,
  look: (chosen: Values) => Promise<Found[]>,
): Promise<[number[], Found[]]> {
  const chosen = Array.from({ length: values[0]?.length ?? 0 }, (_, position) => position).filter(wanted);
  if (chosen.length === 0) return [chosen, []];
  const found = await look(values.map((column) => chosen.map((position) => column[position] ?? null)));
  return [chosen, found.map((row) => ({ ...row, position: chosen[row.position] as number }))];
}

/** Rows that come back and refer to what these would have brought. */
export async function* childrenOf(judged: Judged, { table, kind, batch }: Rows): AsyncGenerator<Rows[]> {
  for (const child of judged.tables.slice(0, judged.reached)) {
    for (const key of checkedForeignKeys(child.pair)) {
      if (judged.byName.get(key.parent) !== table) continue;
      if (kind === 'changed' && isWithinKey(table.pair, key.parentColumns)) continue;
      const values = await judged.valuesOf(table, 'restored', batch, key.parentColumns);
      if (values === null) continue;
      const reference = asReference(child.pair, table.pair, key);
      for await (const rows of referringRows(judged.sides, child.pair, 'restored', reference, values)) {
        yield await judged.openRows(child, rows, ['missing', 'changed']);
      }
    }
  }
}

/** A foreign key to look up a child's rows by the parent's own values. */
function asReference(child: TablePair, parent: TablePair, key: ForeignKey): Reference {
  return {
    name: key.name,
    table: nameOf(child),
    source: child.production.source,
    oid: child.production.oid,
    columns: key.columns,
    parentColumns: key.parentColumns,
    types: key.parentColumns.map((name) => columnOf(parent.production, name)?.type as string),
    equals: key.equals,
    onDelete: 'a',
    onUpdate: 'a',
    readable: true,
    definition: '',
  };
}
