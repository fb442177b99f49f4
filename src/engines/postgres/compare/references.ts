import { quoteIdentifier } from '../identifier.ts';
import { columnOf } from './describe.ts';
import { isFixed, isWithinKey, type Judged, type Rows, type TableDifferences } from './judged.ts';
import { batchOf } from './keys-file.ts';
import {
  BATCH_ROWS,
  type Found,
  parentRows,
  referenceCondition,
  referredPositions,
  referringRows,
  rowsByKey,
  transpose,
  type Values,
} from './lookup.ts';
import { chosen } from './parents.ts';
import type { ForeignKey, Reference } from './relation.ts';
import { nameOf, type TablePair } from './table-pair.ts';

/** Rows that would go, or give up a value, and to which others will still refer. */
export async function referredTo(judged: Judged, { table, kind, batch }: Rows): Promise<string[]> {
  const { pair } = table;
  const kept: string[] = [];
  for (const reference of pair.production.referencedBy) {
    if (kind === 'changed' && isFixed(pair, reference.parentColumns)) continue;
    const losing = await losingRows(judged, { table, kind, batch }, reference);
    if (losing.length === 0) continue;
    const values = transpose(
      losing.map((row) => row.values),
      reference.columns.length,
    );
    const action = kind === 'extra' ? reference.onDelete : reference.onUpdate;
    const isLost = kind === 'extra' && isWithinKey(pair, reference.parentColumns) && pair.keyIsExact;
    // What the foreign key does is done to rows that come, too, where another row takes over the value.
    const referred = await stillReferred(judged, reference, values, action !== 'a' && !isLost);
    if (referred.size === 0) continue;
    const taken = action === 'a' ? await takenOver(judged, table, reference, values, referred) : new Set();
    for (const position of referred) {
      if (taken.has(position)) continue;
      kept.push(losing[position]?.line as string);
      judged.leftOf(table).keptFor.add(reference.table);
    }
  }
  return kept;
}

/** The rows of the batch that lose the values to which this foreign key refers, with them. */
async function losingRows(
  judged: Judged,
  { table: { pair }, kind, batch }: Rows,
  reference: Reference,
): Promise<Found[]> {
  const columns = reference.parentColumns.map((column) => `t.${quoteIdentifier(column)}`);
  const filled = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
  const holding = await rowsByKey(judged.sides, pair, 'production', batch.columns, columns, filled);
  if (kind === 'extra') return holding;
  const moving = reference.parentColumns.flatMap((column, at) => (comesBack(pair, column) ? [at] : []));
  const expressions = moving.map((at) => columns[at] as string);
  const coming = await rowsByKey(judged.sides, pair, 'restored', batch.columns, expressions);
  const next = new Map(coming.map(({ line, values }) => [line, JSON.stringify(values)]));
  return holding.filter(
    ({ line, values }) => next.get(line) !== JSON.stringify(moving.map((at) => values[at])),
  );
}

/** With its row; also where it is computed from what comes back. */
function comesBack({ columns, production, restored }: TablePair, name: string): boolean {
  if (columns.includes(name)) return true;
  return columnOf(production, name)?.generated === true && columnOf(restored, name) !== undefined;
}

/** Positions of the values to which, in the end, a row of this table will refer; `coming`: a new row, too. */
export async function stillReferred(
  judged: Judged,
  reference: Reference,
  values: Values,
  coming: boolean,
): Promise<Set<number>> {
  const { production } = judged.sides;
  const child = judged.byName.get(reference.table);
  if (child === undefined) return referredPositions(production, reference, values);
  const referred = new Set<number>();
  for await (const rows of referringRows(judged.sides, child.pair, 'production', reference, values)) {
    const open = rows.filter(({ position }) => !referred.has(position));
    const staying = await judged.staying(child, open);
    const going = open.filter((row, at) => {
      if (staying[at] === true) referred.add(row.position);
      return staying[at] !== true;
    });
    for (const position of await keepingReference(judged, child, reference, [going, values])) {
      referred.add(position);
    }
  }
  if (!coming || !reference.columns.every((column) => columnOf(child.pair.restored, column))) return referred;
  for await (const rows of referringRows(judged.sides, child.pair, 'restored', reference, values)) {
    const open = rows.filter(({ position }) => !referred.has(position));
    const arriving = await judged.arriving(child, open);
    for (const [at, { position }] of open.entries()) if (arriving[at] === true) referred.add(position);
  }
  return referred;
}

/** Positions of those rows that go or change and come back with a reference to the same value. */
async function keepingReference(
  { sides }: Judged,
  { pair }: TableDifferences,
  reference: Reference,
  [rows, values]: [readonly Found[], Values],
): Promise<number[]> {
  const kept: number[] = [];
  const width = pair.key.parts.length;
  // A column that does not come back stays as it is: such a row is taken to refer as before.
  const comes = reference.columns.every((column) => pair.columns.includes(column));
  const condition = comes ? referenceCondition(reference, width + 1) : null;
  for (let at = 0; at < rows.length; at += BATCH_ROWS) {
    const some = rows.slice(at, at + BATCH_ROWS);
    const { columns } = batchOf(
      some.map(({ line }) => line),
      width,
    );
    const wanted = values.map((column) => some.map(({ position }) => column[position] ?? null));
    const found = await rowsByKey(sides, pair, 'restored', columns, [], condition, wanted);
    kept.push(...found.map(({ position }) => some[position]?.position as number));
  }
  return kept;
}

/** Positions of the values that a row which comes back takes over. */
async function takenOver(
  judged: Judged,
  table: TableDifferences,
  reference: Reference,
  values: Values,
  among: ReadonlySet<number>,
): Promise<Set<number>> {
  const taken = new Set<number>();
  const [, coming] = await chosen(
    values,
    (position) => among.has(position),
    (chosen) => parentRows(judged.sides, table.pair, 'restored', asForeignKey(table.pair, reference), chosen),
  );
  const arriving = await judged.arriving(table, coming);
  for (const [at, { position }] of coming.entries()) if (arriving[at] === true) taken.add(position);
  return taken;
}

/** Rows that would go because these take over a value of theirs to which others refer. */
export async function formerHolders(judged: Judged, { table, batch }: Rows): Promise<Rows[]> {
  const found: Rows[] = [];
  for (const reference of table.pair.production.referencedBy) {
    if (isWithinKey(table.pair, reference.parentColumns) && table.pair.keyIsExact) continue;
    const values = await judged.valuesOf(table, 'restored', batch, reference.parentColumns);
    if (values === null) continue;
    const key = asForeignKey(table.pair, reference);
    const rows = await parentRows(judged.sides, table.pair, 'production', key, values);
    found.push(...(await judged.openRows(table, rows, ['changed', 'extra'])));
  }
  return found;
}

/** Rows that would go, to which these still refer. */
export async function parentsOf(judged: Judged, { table, batch }: Rows): Promise<Rows[]> {
  const found: Rows[] = [];
  for (const key of table.pair.production.foreignKeys) {
    const parent = judged.byName.get(key.parent);
    if (parent === undefined || !judged.mayGiveUp(parent, key.parentColumns)) continue;
    if (judged.tables.indexOf(parent) >= judged.reached) continue;
    const values = await judged.valuesOf(table, 'production', batch, key.columns);
    if (values === null) continue;
    const rows = await parentRows(judged.sides, parent.pair, 'production', key, values);
    found.push(...(await judged.openRows(parent, rows, ['changed', 'extra'])));
  }
  return found;
}

/** A reference to look up a parent's rows by the parent's own values. */
function asForeignKey(parent: TablePair, reference: Reference): ForeignKey {
  return {
    ...reference,
    parent: nameOf(parent),
    parentOid: parent.production.oid,
    parentSource: parent.production.source,
    deferrable: false,
    equals: equalsOf(parent, reference.parentColumns),
  };
}

/** The operators by which a unique index over exactly these columns compares them. */
function equalsOf(pair: TablePair, columns: readonly string[]): string[] {
  const parts = pair.production.uniques
    .filter((index) => !index.exclusion && index.predicate === null)
    .find(
      (index) =>
        index.parts.length === columns.length &&
        index.parts.every((part) => columns.includes(part.column ?? '')),
    )?.parts;
  return columns.map(
    (column) => parts?.find((part) => part.column === column)?.equals ?? 'OPERATOR(pg_catalog.=)',
  );
}
