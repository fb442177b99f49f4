import { firesBetween } from '../../model/cron.ts';
import { type Backup, type BackupKind, PLANNED, retentionOf } from './backup.ts';
import { DAY_MS, type Horizon } from './calendar.ts';
import type { AuditedPolicy } from './facts.ts';

const SNAPSHOT_HOUR_MS = 18 * 3_600_000;

/** When the schedules make bases. */
export function baseRuns(policy: AuditedPolicy, { now, end }: Horizon) {
  return { fulls: firesBetween(policy.fulls, now, end), diffs: firesBetween(policy.diffs, now, end) };
}

/** The logical backups and snapshots that will be made: each takes no time. */
export function plannedCopies(
  policy: AuditedPolicy,
  existing: readonly Backup[],
  horizon: Horizon,
): Backup[] {
  const planned = (kind: BackupKind, times: readonly number[]) =>
    times.map((at) => ({
      id: PLANNED,
      kind,
      startedAt: at,
      finishedAt: at,
      promisedUntil: at + retentionOf(policy, kind),
      needs: [],
      lacks: [],
      node: null,
    }));
  return [
    ...planned('logical', firesBetween(policy.logicals, horizon.now, horizon.end)),
    ...(policy.snapshots ? planned('snapshot', snapshotRuns(existing, horizon)) : []),
  ];
}

/** On the first of each month; this month's own at the next occasion where there is none yet. */
function snapshotRuns(existing: readonly Backup[], { now, midnight, end }: Horizon): number[] {
  const today = midnight + SNAPSHOT_HOUR_MS;
  const next = today > now ? today : today + DAY_MS;
  const isMade = existing.some(
    ({ kind, finishedAt }) => kind === 'snapshot' && monthOf(finishedAt) === monthOf(now),
  );
  const runs = isMade || monthOf(next) !== monthOf(now) ? [] : [next];
  for (let month = monthOf(now); monthStart(month) < end; month += 1) {
    const at = monthStart(month) + SNAPSHOT_HOUR_MS;
    if (at > now && at < end && at !== runs[0]) runs.push(at);
  }
  return runs;
}

/** Months since the year 0. */
export function monthOf(at: number): number {
  const date = new Date(at);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

export const monthStart = (month: number): number => Date.UTC(Math.floor(month / 12), month % 12, 1);
