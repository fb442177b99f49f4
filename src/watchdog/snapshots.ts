import type { DatabaseView } from '../config/describe.ts';
import type { Catalog } from '../model/backup.ts';
import type { Problem } from '../model/problem.ts';

/** So long before its end a month without a snapshot is told of: a backup can still be verified then, and copied. */
const BEFORE_END_MS = 3 * 86_400_000;

/**
 * A month that is almost over, or the last one, without a snapshot. `since`: when the schedule was made, in
 * milliseconds, for a database that never had one; null: there is no schedule, and that is the problem.
 */
export function snapshotProblems(
  { name, tiers }: Pick<DatabaseView, 'name' | 'tiers'>,
  { backups }: Catalog,
  { since, now }: { since: number | null; now: Date },
): Problem[] {
  if (tiers.snapshot === null) return [];
  const taken = backups.flatMap(({ tier, finishedAt }) =>
    tier === 'snapshot' ? Date.parse(finishedAt) : [],
  );
  const newest = taken.length === 0 ? null : Math.max(...taken);
  const due = newest === null ? (since === null ? null : firstDue(since)) : dueAfter(newest);
  if (due === null || now.getTime() < due) return [];
  const month = monthOf(due);
  const isOver = monthOf(now.getTime()) > month;
  const before = newest === null ? 'there is none' : `the newest is of ${monthOf(newest)}`;
  return [
    {
      key: `overdue/${name}/snapshot`,
      database: name,
      severity: isOver ? 'critical' : 'warning',
      what: `${name} has no snapshot of ${month}${isOver ? '' : ' yet, and the month is almost over'}: ${before}`,
      since: new Date(due).toISOString(),
      hint: `holdfast backup ${name} --tier snapshot --wait takes it, or says what is missing`,
      told: 'nothing',
    },
  ];
}

/** The first month of a schedule is the one in which there is still time. */
function firstDue(since: number): number {
  const due = endOfMonth(since) - BEFORE_END_MS;
  return since <= due ? due : dueAfter(since);
}

const dueAfter = (newest: number): number => endOfMonth(endOfMonth(newest)) - BEFORE_END_MS;

/** The first moment of the next month, UTC. */
function endOfMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** `2026-11`; as text it compares as months do. */
const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);
