import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { Config } from '../../config/schema.ts';
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
 * fulls. Null where no logs are archived.
 */
export function logKept({ tiers, retention }: Pick<DatabaseView, 'tiers' | 'retention'>): Kept | null {
  if (tiers.log === null || tiers.physical === null) return null;
  const window = daysOf(retention.logMs);
  const age = daysOf(Math.min(tiers.physical.fullGapMs, retention.physicalMs));
  return {
    days: window + age + MARGIN_DAYS,
    why: `a window of ${formatDuration(retention.logMs)}, and the age of the base that it begins with, up to ${describeGap(tiers.physical.fullGapMs)}, and a day to make one`,
  };
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
 * needed. Logs are never locked one by one.
 */
export function defaultRetentionDays(config: Config): number {
  const logs = Object.keys(config.databases).flatMap(
    (name) => logKept(describeDatabase(config, name))?.days ?? [],
  );
  return Math.max(1, ...logs);
}

const daysOf = (milliseconds: number): number => Math.ceil(milliseconds / DAY_MS);
