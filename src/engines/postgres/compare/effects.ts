import type pg from 'pg';
import { quoteIdentifier } from '../identifier.ts';
import { type KeyBatch, keyBatches, keyLine } from './keys-file.ts';
import {
  absentKeys,
  absentParents,
  BATCH_ROWS,
  heldValues,
  restoredParentKeys,
  restoredValues,
  transpose,
} from './lookup.ts';
import { type ForeignKey, isKey, type UniqueIndex } from './relation.ts';
import type { TablePair } from './table-pair.ts';

/** A table with the rows that production lacks, and those of them that cannot come back (as key lines). */
export interface MissingRows {
  pair: TablePair;
  /** the table's folder: its files are of this comparison alone */
  folder: string;
  missingFile: string;
  missing: number;
  orphans: Set<string>;
  clashes: Set<string>;
}

interface Sides {
  production: pg.Client;
  restored: pg.Client;
}

/**
 * Finds the rows that cannot come back: a clash with another unique key, or a parent that is neither in
 * production nor coming back itself. Tables in the order parents first; with a cycle or a reference of a table to
 * itself the rows that drop out can take others with them, so it repeats until nothing changes.
 * Memory grows with the rows that cannot come back, not with those that can.
 */
export async function findEffects(
  sides: Sides,
  tables: readonly MissingRows[],
  signal: AbortSignal,
): Promise<void> {
  const byOid = new Map(tables.map((rows) => [rows.pair.production.oid, rows]));
  for (const rows of tables) await findClashes(sides, rows, signal);
  const order = new Map(tables.map((rows, position) => [rows.pair.production.oid, position]));
  const refersForward = tables.some((rows, position) =>
    rows.pair.production.foreignKeys.some((key) => (order.get(key.parentOid) ?? -1) >= position),
  );
  for (let again = true; again; ) {
    again = false;
    for (const rows of tables) {
      const before = rows.orphans.size;
      for (const key of checkedForeignKeys(rows.pair)) await findOrphans(sides, rows, key, byOid, signal);
      if (rows.orphans.size > before && refersForward) again = true;
    }
  }
}

/** Foreign keys whose values come back with the row; another's column gets a default, which the import checks. */
export function checkedForeignKeys(pair: TablePair): ForeignKey[] {
  return pair.production.foreignKeys.filter((key) =>
    key.columns.every((column) => pair.restored.columns.some((other) => other.name === column)),
  );
}

/** Unique indexes in which a row that comes back could meet another one. */
export function checkedUniques(pair: TablePair): UniqueIndex[] {
  const common = new Set(pair.restored.columns.map((column) => column.name));
  return pair.production.uniques.filter(
    (index) =>
      index.reads.every((column) => common.has(column)) &&
      (index.name !== pair.key.name || !pair.keyIsExact || !isKey(pair.production, index)),
  );
}

async function findClashes(sides: Sides, rows: MissingRows, signal: AbortSignal): Promise<void> {
  const { pair } = rows;
  for (const index of checkedUniques(pair)) {
    const expressions = index.parts.map((part) => part.expression);
    for await (const batch of missingBatches(rows)) {
      signal.throwIfAborted();
      const found = (
        await restoredValues(sides.restored, pair, batch.columns, expressions, index.predicate)
      ).filter((row) => !index.nullsDistinct || row.values.every((value) => value !== null));
      if (found.length === 0) continue;
      const values = transpose(
        found.map((row) => row.values),
        expressions.length,
      );
      for (const position of await heldValues(sides.production, pair.production, index, values)) {
        rows.clashes.add(batch.lines[found[position]?.position ?? -1] as string);
      }
    }
  }
}

async function findOrphans(
  sides: Sides,
  rows: MissingRows,
  key: ForeignKey,
  byOid: ReadonlyMap<number, MissingRows>,
  signal: AbortSignal,
): Promise<void> {
  const columns = key.columns.map((column) => `t.${quoteIdentifier(column)}`);
  // MATCH SIMPLE: a row with a null in its reference refers to nothing.
  const referring = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
  for await (const batch of missingBatches(rows)) {
    signal.throwIfAborted();
    const children = await restoredValues(sides.restored, rows.pair, batch.columns, columns, referring);
    const distinct = groupByReference(children, rows, batch);
    if (distinct.size === 0) continue;
    const references = [...distinct.values()].map((group) => group.values);
    const values = transpose(references, columns.length);
    const absent = [...(await absentParents(sides.production, key, values))];
    const coming = await comingParents(
      sides,
      key,
      byOid.get(key.parentOid),
      absent.map((position) => references[position] as string[]),
    );
    const groups = [...distinct.values()];
    for (const [index, position] of absent.entries()) {
      if (coming[index] === true) continue;
      for (const child of groups[position]?.children ?? []) rows.orphans.add(child);
    }
  }
}

/** The children that are still to come, by what they refer to. */
function groupByReference(
  children: readonly { position: number; values: (string | null)[] }[],
  rows: MissingRows,
  batch: KeyBatch,
): Map<string, { values: string[]; children: string[] }> {
  const groups = new Map<string, { values: string[]; children: string[] }>();
  for (const { position, values } of children) {
    const line = batch.lines[position] as string;
    if (rows.orphans.has(line) || rows.clashes.has(line)) continue;
    const reference = keyLine(values as string[]);
    const group = groups.get(reference);
    if (group === undefined) groups.set(reference, { values: values as string[], children: [line] });
    else group.children.push(line);
  }
  return groups;
}

/** Whether each of these references, which no row in production satisfies, will be by a row that comes back. */
async function comingParents(
  sides: Sides,
  key: ForeignKey,
  parents: MissingRows | undefined,
  references: readonly string[][],
): Promise<boolean[]> {
  const coming = references.map(() => false);
  const columns = parents?.pair.columns;
  if (parents === undefined || references.length === 0) return coming;
  if (!key.parentColumns.every((column) => columns?.includes(column))) return coming;
  const values = transpose(references, key.columns.length);
  const parentKeys = await restoredParentKeys(sides.restored, key, parents.pair, values);
  const known = parentKeys.flatMap((parts, position) => (parts === null ? [] : [{ parts, position }]));
  if (known.length === 0) return coming;
  const missing = await absentKeys(
    sides.production,
    parents.pair,
    transpose(
      known.map((parent) => parent.parts),
      parents.pair.key.parts.length,
    ),
  );
  for (const [index, { parts, position }] of known.entries()) {
    const line = keyLine(parts);
    coming[position] = missing.has(index) && !parents.orphans.has(line) && !parents.clashes.has(line);
  }
  return coming;
}

function missingBatches(rows: MissingRows): AsyncGenerator<KeyBatch> {
  return keyBatches(rows.missingFile, rows.pair.key.parts.length, BATCH_ROWS);
}
