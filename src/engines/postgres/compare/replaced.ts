import { quoteIdentifier } from '../identifier.ts';
import { checkedUniques, indexed } from './clashes.ts';
import { columnOf } from './describe.ts';
import type { Judged, Rows } from './judged.ts';
import { batchOf } from './keys-file.ts';
import { rowsByIndex, rowsByKey, transpose } from './lookup.ts';
import { stillReferred } from './references.ts';
import type { Reference } from './relation.ts';
import type { TablePair } from './table-pair.ts';

/**
 * Some rows can only be deleted and inserted again, not updated: those of which another row gets a unique value
 * before they have given it up, and those whose identity only the server gives. That cannot be done to a row to
 * which others refer through a foreign key that acts when it is deleted. Which of these are such.
 */
export async function irreplaceable(judged: Judged, rows: Rows): Promise<string[]> {
  const { pair } = rows.table;
  const acting = actingReferences(pair);
  if (acting.length === 0 || rows.batch.lines.length === 0) return [];
  const replaced = [...new Set([...(await exchanging(judged, rows)), ...(await renumbered(judged, rows))])];
  const held: string[] = [];
  for (const reference of replaced.length === 0 ? [] : acting) {
    const columns = reference.parentColumns.map((column) => `t.${quoteIdentifier(column)}`);
    const filled = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
    const keys = batchOf(replaced, pair.key.parts.length).columns;
    const found = await rowsByKey(judged.sides, pair, 'production', keys, columns, filled);
    if (found.length === 0) continue;
    const values = transpose(
      found.map((row) => row.values),
      columns.length,
    );
    const referred = await stillReferred(judged, reference, values, true);
    for (const position of referred) held.push(found[position]?.line as string);
    if (referred.size > 0) judged.leftOf(rows.table).heldBy.add(reference.table);
  }
  return held;
}

/** Foreign keys that do more, when a row is deleted, than to look whether it is missed in the end. */
export function actingReferences({ production }: TablePair): Reference[] {
  return production.referencedBy.filter(({ onDelete }) => onDelete !== 'a');
}

/** Rows of which another row of the change is to get a unique value; a deferrable constraint waits for both. */
async function exchanging(judged: Judged, { table, batch }: Rows): Promise<string[]> {
  const { pair } = table;
  const found: string[] = [];
  for (const index of checkedUniques(pair)) {
    if (index.deferrable || !mayMove(pair, index.reads)) continue;
    const { rows: holding, values } = await indexed(judged, { table, batch }, 'production', index);
    if (holding.length === 0) continue;
    const getting = (await rowsByIndex(judged.sides, pair, 'restored', index, values)).filter(
      ({ position, line }) => line !== holding[position]?.line,
    );
    const kinds = await judged.kindsOf(table, getting);
    for (const { position, line } of getting) {
      if (kinds.get(line) !== 'changed' || judged.leftOf(table).changed.has(line)) continue;
      found.push(holding[position]?.line as string);
    }
  }
  return found;
}

/** Whether an update may give a row another value in one of these columns. */
export function mayMove({ hashed, production }: TablePair, columns: readonly string[]): boolean {
  return columns.some((name) => hashed.includes(name) || columnOf(production, name)?.generated === true);
}

/** Columns that come back and that an UPDATE may not set. */
export function alwaysIdentity({ hashed, production }: TablePair): string[] {
  return production.columns
    .filter(({ name, identityAlways }) => identityAlways && hashed.includes(name))
    .map(({ name }) => name);
}

async function renumbered(judged: Judged, { table: { pair }, batch }: Rows): Promise<string[]> {
  const columns = alwaysIdentity(pair).map((name) => `t.${quoteIdentifier(name)}`);
  if (columns.length === 0) return [];
  const [now, before] = await Promise.all([
    rowsByKey(judged.sides, pair, 'production', batch.columns, columns),
    rowsByKey(judged.sides, pair, 'restored', batch.columns, columns),
  ]);
  const then = new Map(before.map(({ line, values }) => [line, JSON.stringify(values)]));
  return now.filter(({ line, values }) => then.get(line) !== JSON.stringify(values)).map(({ line }) => line);
}
