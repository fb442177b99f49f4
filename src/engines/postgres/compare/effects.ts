import type { ConflictRule } from '../../../model/plan.ts';
import { clashing, wantersOf } from './clashes.ts';
import { type DifferenceKind, kindBatches, type Reason, type Sides } from './differences.ts';
import { Judged, type LeftRows, type Rows, type TableDifferences } from './judged.ts';
import { batchOf } from './keys-file.ts';
import { BATCH_ROWS, rowsByKey } from './lookup.ts';
import { childrenOf, withoutParent } from './parents.ts';
import { formerHolders, parentsOf, referredTo } from './references.ts';
import { actingReferences, irreplaceable } from './replaced.ts';

/**
 * Finds what a rule leaves alone, judged by what the tables will hold in the end: a row whose unique values another
 * row holds (clash), whose parent will not be there, or, where it would go or give up a value, to which another
 * row will still refer (orphan). Tables in the order parents first. Each row that is left alone can take others
 * with it: those are looked up, so that nothing is read twice over. Memory grows with the rows left alone.
 */
export async function findEffects(
  sides: Sides,
  tables: readonly TableDifferences[],
  rule: ConflictRule,
  signal: AbortSignal,
): Promise<Map<TableDifferences, LeftRows>> {
  const judged = new Judged(sides, tables, rule);
  for (const table of tables) {
    judged.reached += 1;
    for (const kind of judged.kinds) {
      for await (const rows of batchesOf(table, kind)) await judge(judged, [rows], signal);
    }
  }
  // Whatever is left alone for it may keep rows that refer to others.
  while (await leaveIrreplaceable(judged, signal)) {}
  return judged.left;
}

async function* batchesOf(table: TableDifferences, kind: DifferenceKind): AsyncGenerator<Rows> {
  const width = table.pair.key.parts.length;
  for await (const batch of kindBatches(table.folder, kind, width, BATCH_ROWS)) yield { table, kind, batch };
}

/** Judges some rows, and then all whose judgement that changes. */
async function judge(judged: Judged, rows: readonly Rows[], signal: AbortSignal): Promise<void> {
  const waiting = [...rows];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    signal.throwIfAborted();
    const newly = await leave(judged, next);
    if (newly !== null) waiting.push(...(await dependents(judged, newly)));
  }
}

/** Leaves alone those that have to be; null where there is none. */
async function leave(judged: Judged, { table, kind, batch }: Rows): Promise<Rows | null> {
  const rows = { table, kind, batch: judged.open(table, kind, batch) };
  if (rows.batch.lines.length === 0) return null;
  const found: string[] = [];
  const add = (lines: readonly string[], reason: Reason) => found.push(...judged.leave(rows, lines, reason));
  if (kind !== 'extra') {
    add(await breaking(judged, rows), 'forbidden');
    add(await clashing(judged, rows), 'clash');
    add(await withoutParent(judged, rows), 'orphan');
  }
  if (kind !== 'missing') add(await referredTo(judged, rows), 'orphan');
  return found.length === 0 ? null : { table, kind, batch: batchOf(found, table.pair.key.parts.length) };
}

/** Rows that break a constraint which is new since. */
async function breaking(judged: Judged, { table, kind, batch }: Rows): Promise<string[]> {
  const { broken: counts } = judged.leftOf(table);
  const lines = new Set<string>();
  for (const { name, broken } of table.pair.newConstraints) {
    const found = await rowsByKey(judged.sides, table.pair, 'restored', batch.columns, [], broken);
    const newly = found.filter(({ line }) => !lines.has(line) && !judged.leftOf(table)[kind].has(line));
    for (const { line } of newly) lines.add(line);
    if (newly.length > 0) counts.set(name, (counts.get(name) ?? 0) + newly.length);
  }
  return [...lines];
}

/** Whether there were any that can only be deleted and inserted, to which rows refer. */
async function leaveIrreplaceable(judged: Judged, signal: AbortSignal): Promise<boolean> {
  let any = false;
  if (!judged.kinds.includes('changed')) return any;
  for (const table of judged.tables.filter(({ pair }) => actingReferences(pair).length > 0)) {
    for await (const rows of batchesOf(table, 'changed')) {
      signal.throwIfAborted();
      const open = { ...rows, batch: judged.open(table, 'changed', rows.batch) };
      const lines = judged.leave(open, await irreplaceable(judged, open), 'clash');
      if (lines.length === 0) continue;
      any = true;
      const batch = batchOf(lines, table.pair.key.parts.length);
      await judge(judged, await dependents(judged, { ...rows, batch }), signal);
    }
  }
  return any;
}

/** Rows judged before whose judgement rested on these, which are left alone now. */
async function dependents(judged: Judged, rows: Rows): Promise<Rows[]> {
  const found: Rows[] = [];
  if (rows.kind !== 'extra') {
    for await (const some of childrenOf(judged, rows)) found.push(...some);
    found.push(...(await formerHolders(judged, rows)));
  }
  if (rows.kind !== 'missing') {
    found.push(...(await wantersOf(judged, rows)), ...(await parentsOf(judged, rows)));
  }
  return found;
}
