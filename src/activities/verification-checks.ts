import type { Counts } from '../engines/engine.ts';
import { type Bounds, describeBounds, isWithin } from '../model/bounds.ts';
import { formatDuration } from '../model/duration.ts';
import type { Check } from '../model/evidence.ts';
import { countOf } from '../model/plan.ts';
import { parseLsn } from '../model/wal.ts';
import type { Heartbeat } from '../repository/heartbeats.ts';

/**
 * The copy's counts beside production's of before and after: between them, or not further off than the bounds. Beyond
 * that nobody can say whether the backup lacks rows or production has changed so much: `inconclusive`.
 */
export function compareCounts(copy: Counts, [before, after]: [Counts, Counts], bounds: Bounds): Check {
  const later = rowsByTable(after);
  const ours = rowsByTable(copy);
  const beyond: string[] = [];
  let compared = 0;
  for (const { table, rows: first } of before.tables) {
    const [found, second] = [ours.get(table) ?? null, later.get(table) ?? null];
    if (found === null || first === null || second === null) continue;
    compared += 1;
    if (isWithin(found, [first, second], bounds)) continue;
    beyond.push(`${table} has ${countOf(found, 'row')} in the copy and ${first} to ${second} in production`);
  }
  const scope = `${countOf(compared, 'table')}, the largest, within ${describeBounds(bounds)} of production`;
  return beyond.length === 0
    ? { name: 'counts', verdict: 'pass', detail: scope }
    : {
        name: 'counts',
        verdict: 'inconclusive',
        detail: `not within ${describeBounds(bounds)}: ${beyond.join('; ')}`,
      };
}

const rowsByTable = ({ tables }: Counts) => new Map(tables.map(({ table, rows }) => [table, rows]));

/** Rows of the last while before the backup: where production has some and the copy has none, the backup lacks them. */
export function compareRecent(copy: Counts, production: Counts, bounds: Bounds): Check[] {
  return copy.recent.map(({ table, rows: found }, index): Check => {
    const name = `recent rows of ${table}`;
    const there = production.recent[index]?.rows ?? null;
    if (found === null) return { name, verdict: 'fail', detail: 'there is no such table in the copy' };
    if (there === null)
      return { name, verdict: 'inconclusive', detail: 'production has no such table, or took too long' };
    const detail = `${countOf(found, 'row')} in the copy, ${there} of the same time in production`;
    if (found === 0 && there > 0) return { name, verdict: 'fail', detail };
    if (found === 0) return { name, verdict: 'inconclusive', detail: `no row is as new as that: ${detail}` };
    return { name, verdict: isWithin(found, [there, there], bounds) ? 'pass' : 'inconclusive', detail };
  });
}

/**
 * The newest commit of the watcher that the archived logs hold has to be in the copy, and must not be older than the
 * objective allows.
 */
export function heartbeatCheck(
  heartbeats: readonly Heartbeat[],
  copy: { lastLog: string | null; timeline: number; lsn: string; rpoMs: number; now: Date },
): Check {
  const { lastLog } = copy;
  const held = heartbeats.filter(
    ({ timeline, log }) => timeline === copy.timeline && lastLog !== null && log <= lastLog,
  );
  const newest = held.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];
  const name = 'heartbeat';
  if (newest === undefined)
    return { name, verdict: 'inconclusive', detail: 'no heartbeat is known in these logs' };
  if (parseLsn(copy.lsn) < parseLsn(newest.position)) {
    const detail = `the commit of ${newest.at} at ${newest.position} is not in the copy, which ends at ${copy.lsn}`;
    return { name, verdict: 'fail', detail };
  }
  const ageMs = copy.now.getTime() - Date.parse(newest.at);
  const detail = `the commit of ${newest.at} is in the copy`;
  if (ageMs <= copy.rpoMs) return { name, verdict: 'pass', detail };
  return {
    name,
    verdict: 'fail',
    detail: `stale: ${detail}, and none later is archived: ${formatDuration(Math.trunc(ageMs / 1_000) * 1_000)}, where the RPO is ${formatDuration(copy.rpoMs)}`,
  };
}
