import type { Counts } from '../engines/contract/read.ts';
import { type Bounds, describeBounds, isWithin } from '../model/bounds.ts';
import { formatDuration } from '../model/duration.ts';
import type { Check } from '../model/evidence.ts';
import { countOf } from '../model/plan.ts';
import { parseLsn } from '../model/wal.ts';
import type { Heartbeat } from '../repository/heartbeats.ts';
import type { ShippedLog } from '../repository/shipped/name.ts';

/**
 * The copy's counts beside production's of before and after: between them, or not further off than the bounds. Beyond
 * that nobody can say whether the backup lacks rows or production has changed so much: `inconclusive`. A copy that is
 * `older` than the counts does not have to have every table.
 */
export function compareCounts(
  copy: Counts,
  [before, after]: [Counts, Counts],
  { bounds, older }: { bounds: Bounds; older: boolean },
): Check {
  const [ours, later] = [byTable(copy), byTable(after)];
  const wrong: string[] = [];
  const said: string[] = [];
  let compared = 0;
  for (const first of before.tables) {
    const { table } = first;
    const second = later.get(table);
    // Dropped meanwhile, or never to be counted.
    if (first.rows === null || second?.rows == null) continue;
    const found = ours.get(table)?.rows ?? null;
    if (found === null) {
      (older ? said : wrong).push(`${table} is not in the copy`);
    } else if (!first.exact || !second.exact) {
      said.push(`${table} takes too long to count in production`);
    } else {
      compared += 1;
      if (isWithin(found, [first.rows, second.rows], bounds)) continue;
      wrong.push(
        `${table} has ${countOf(found, 'row')} in the copy and ${first.rows} to ${second.rows} in production`,
      );
    }
  }
  const within = `within ${describeBounds(bounds)} of production`;
  const name = 'counts';
  if (wrong.length > 0) {
    return { name, verdict: 'inconclusive', detail: `not ${within}: ${[...wrong, ...said].join('; ')}` };
  }
  const detail = [`${countOf(compared, 'table')}, the largest, ${within}`, ...said].join('; ');
  const nothing = compared === 0 && before.tables.length > 0;
  return { name, verdict: nothing ? 'inconclusive' : 'pass', detail };
}

const byTable = ({ tables }: Counts) => new Map(tables.map((one) => [one.table, one]));

/**
 * Rows of the last while before the backup: where production has some and the copy has none, the backup lacks them, as
 * far as the bounds allow to say so.
 */
export function compareRecent(copy: Counts, production: Counts, bounds: Bounds): Check[] {
  return copy.recent.map(({ table, rows: found }, index): Check => {
    const name = `recent rows of ${table}`;
    const there = production.recent[index]?.rows ?? null;
    const unknown = (detail: string): Check => ({ name, verdict: 'inconclusive', detail });
    if (found === null) return unknown('there is no such table in the copy');
    if (there === null) return unknown('production has no such table, or took too long to count');
    const detail = `${countOf(found, 'row')} in the copy, ${there} of the same time in production`;
    const agree = isWithin(found, [there, there], bounds);
    if (found > 0) return { name, verdict: agree ? 'pass' : 'inconclusive', detail };
    return agree ? unknown(`no row is as new as that: ${detail}`) : { name, verdict: 'fail', detail };
  });
}

/**
 * The newest commit of the watcher that the archived logs hold has to be in the copy, and must not have been older than
 * the objective allows when the logs were listed (`now`).
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
    detail: `stale: ${detail}, and none later was archived ${formatDuration(Math.trunc(ageMs / 1_000) * 1_000)} after it, where the RPO is ${formatDuration(copy.rpoMs)}`,
  };
}

/**
 * Logs that we ship: the copy was replayed to their end (the engine asserts every transaction), and their end must not have
 * been older than the objective allows when they were listed (`now`).
 */
export function shippedCheck(
  shipped: readonly ShippedLog[],
  copy: { position: string; rpoMs: number; now: Date },
): Check {
  const name = 'heartbeat';
  const before = shipped.filter(({ shippedAt }) => Date.parse(shippedAt) <= copy.now.getTime());
  const newest = before.toSorted((a, b) => Date.parse(b.lastAt) - Date.parse(a.lastAt))[0];
  if (newest === undefined) return { name, verdict: 'inconclusive', detail: 'no log has been shipped yet' };
  const ageMs = copy.now.getTime() - Date.parse(newest.lastAt);
  const detail = `everything up to ${copy.position} is in the copy; the newest log was closed at ${newest.lastAt}`;
  if (ageMs <= copy.rpoMs) return { name, verdict: 'pass', detail };
  return {
    name,
    verdict: 'fail',
    detail: `stale: ${detail}, ${formatDuration(Math.trunc(ageMs / 1_000) * 1_000)} before it was looked at, where the RPO is ${formatDuration(copy.rpoMs)}`,
  };
}
