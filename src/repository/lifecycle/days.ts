import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { Config } from '../../config/schema.ts';
import { largestGapMs } from '../../model/cron.ts';
import { formatDuration } from '../../model/duration.ts';
import { describeGap } from '../../model/tier.ts';

/** How long S3 keeps something, in whole days, and why. */
export interface Kept {
  days: number;
  /** the arithmetic, for people */
  why: string;
}

const DAY_MS = 86_400_000;
/** A rule counts from the moment of writing, a promise from the end of the backup: none takes longer than this. */
const MARGIN_DAYS = 1;

/**
 * Logs: a window of seven days needs the logs since the base before it, which may be as old as the time between two
 * fulls, or two logical backups. Null where no logs are kept.
 */
export function logKept(database: Pick<DatabaseView, 'tiers' | 'retention' | 'bases'>): Kept | null {
  const { tiers, retention, bases } = database;
  const gapMs = baseGapOf(database);
  if (tiers.log === null || gapMs === null) return null;
  const window = daysOf(retention.logMs);
  const age = daysOf(Math.min(gapMs, retention[`${bases}Ms`]));
  return {
    days: window + age + MARGIN_DAYS,
    why: `a window of ${formatDuration(retention.logMs)}, and the age of the base that it begins with, up to ${describeGap(gapMs)}, and a day to make one`,
  };
}

/** The longest time between two that a window can begin in, in milliseconds; null: none are made. */
function baseGapOf({ tiers, bases }: Pick<DatabaseView, 'tiers' | 'bases'>): number | null {
  if (bases === 'physical') return tiers.physical?.fullGapMs ?? null;
  if (tiers.logical === null) return null;
  return largestGapMs(tiers.logical.schedule) ?? Number.POSITIVE_INFINITY;
}

/** Until when a log that is shipped now is locked: as long as the lifecycle keeps it. */
export function shippedUntil(
  database: Pick<DatabaseView, 'tiers' | 'retention' | 'bases'>,
  now: number,
): Date {
  const days = logKept(database)?.days;
  return new Date(now + (days === undefined ? database.retention.logMs : days * DAY_MS));
}

/** Backups of a tier: their retention, from the end of the backup on. */
export function backupKept(retentionMs: number): Kept {
  return {
    days: daysOf(retentionMs) + MARGIN_DAYS,
    why: `${formatDuration(retentionMs)} from its end on, and a day to make it`,
  };
}

/** How old a full gets before the tool's own expiry removes it: until so many newer ones are complete. */
export function physicalDays({
  tiers: { physical },
  retention,
}: Pick<DatabaseView, 'tiers' | 'retention'>): number | null {
  if (physical === null) return null;
  const gapMs = Math.min(physical.fullGapMs, retention.physicalMs);
  return daysOf(physical.retentionFull * gapMs) + MARGIN_DAYS;
}

/** Manifests and what was verified: as long as the backup that lives longest. */
export function recordDays(databases: readonly DatabaseView[]): number {
  return Math.max(
    1,
    ...databases.flatMap((database) => [
      backupKept(database.retention.logicalMs).days,
      backupKept(database.retention.physicalMs).days,
      backupKept(database.retention.snapshotMs).days,
      physicalDays(database) ?? 0,
    ]),
  );
}

/** What runbooks leave: as long as any backup or undo data, and a year at least, for whoever asks what was done. */
export function trailDays(databases: readonly DatabaseView[]): number {
  const undo = databases.map(({ retention }) => daysOf(retention.undoMs) + MARGIN_DAYS);
  return Math.max(366, recordDays(databases), ...undo);
}

/**
 * The bucket's default retention, in days: what no backup names is locked for as long as the logs of any database are
 * needed. Logs that a server archives are never locked one by one; those that we ship are.
 */
export function defaultRetentionDays(config: Config): number {
  const logs = Object.keys(config.databases).flatMap((name) => {
    const database = describeDatabase(config, name);
    return database.bases === 'physical' ? (logKept(database)?.days ?? []) : [];
  });
  return Math.max(1, ...logs);
}

const daysOf = (milliseconds: number): number => Math.ceil(milliseconds / DAY_MS);
