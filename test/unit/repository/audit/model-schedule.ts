import { type Cron, parseCron } from '../../../../src/model/cron.ts';
import type { AuditedDatabase } from '../../../../src/repository/audit/facts.ts';
import { DAY } from './model-store.ts';

/** When anything is made between two midnights. */
export function dueBetween(now: number, database: AuditedDatabase, from: number, to: number): number[] {
  const { fulls, diffs, logicals } = database.policy;
  const evenings = daysBetween(from, to).map((day) => day + SNAPSHOT_MINUTE * 60_000);
  return [
    ...timesBetween([...fulls, ...diffs, ...logicals], from, to),
    ...evenings.filter((at) => isSnapshotTime(now, database, at)),
  ];
}

/** When schedules fire between two midnights, in order. */
export function timesBetween(crons: readonly string[], from: number, to: number): number[] {
  const minutes = [...new Set(crons.flatMap((cron) => read(cron).minutes))].sort((a, b) => a - b);
  return daysBetween(from, to)
    .flatMap((day) => minutes.map((minute) => day + minute * 60_000))
    .filter((at) => fires(crons, at));
}

const daysBetween = (from: number, to: number): number[] =>
  Array.from({ length: (to - from) / DAY }, (_, day) => from + day * DAY);

export function fires(crons: readonly string[], at: number): boolean {
  if (crons.length === 0 || at % 60_000 !== 0) return false;
  const date = new Date(at);
  const minute = (at % DAY) / 60_000;
  return crons.some((text) => {
    const { minutes, weekdays, days, months } = read(text);
    return (
      minutes.includes(minute) &&
      weekdays.has(date.getUTCDay()) &&
      days.has(date.getUTCDate()) &&
      months.has(date.getUTCMonth() + 1)
    );
  });
}

const readCrons = new Map<string, Cron>();
function read(text: string): Cron {
  const cron = readCrons.get(text) ?? parseCron(text);
  readCrons.set(text, cron);
  return cron;
}

const SNAPSHOT_MINUTE = 18 * 60;

/** On the first of the month; and at the first chance, where this month has none yet. */
export function isSnapshotTime(now: number, { policy, nodes }: AuditedDatabase, at: number): boolean {
  if (!policy.snapshots || at <= now || at % DAY !== SNAPSHOT_MINUTE * 60_000) return false;
  if (new Date(at).getUTCDate() === 1) return true;
  const hasOne = nodes.some(
    ({ kind, finishedAt }) => kind === 'snapshot' && monthOf(finishedAt) === monthOf(now),
  );
  return !hasOne && at - now <= DAY && monthOf(at) === monthOf(now);
}

const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);
