import { largestGapMs } from './cron.ts';
import { formatDuration, parseDuration } from './duration.ts';
import type { EngineKind } from './engine.ts';
import type { Objectives } from './objective.ts';
import { defaultLogical, defaultPhysical, defaultSnapshot } from './schedule-spread.ts';

/** The model behind the arithmetic, for as long as no drill has measured this database. */
export const MODEL = {
  /** replaying the logs of a day takes this long */
  replayPerDayMs: 3_600_000,
  /** a restore copies this many bytes of database in a second */
  restoreBytesPerSecond: 100 * 1024 * 1024,
  /** planning, starting the server and the checks of a restore */
  startMs: 120_000,
  /** from a closed log to its being in the repository */
  archiveMs: 15_000,
} as const;

const MINUTE = 60_000;
const DAY = 86_400_000;
const LARGEST_MAX_AGE = 5 * MINUTE;

export interface LogTier {
  /** how old the newest archived log may become */
  maxAgeMs: number;
  /** how often the watcher looks */
  watchEveryMs: number;
  /** what can be lost at the most: the log is closed at half of maxAge, seen one look later, then archived */
  worstMs: number;
}
export interface LogicalTier {
  /** cron expressions, UTC */
  schedule: string[];
  fingerprints: boolean;
}
export interface PhysicalTier {
  full: string[];
  /** empty: fulls only */
  diff: string[];
  fullGapMs: number;
  /** longest time between two bases of either kind */
  baseGapMs: number;
  /** fulls to keep, so that retention is met while the newest is being made */
  retentionFull: number;
  /** of them, the newest ones whose logs are kept from their beginning on: older ones can be restored as they are only */
  retentionArchive: number;
}
export interface SnapshotTier {
  /** when it is looked for the month's first verified backup: cron expressions, UTC */
  schedule: string[];
  /** which tier it copies */
  of: 'physical' | 'logical';
}
/** Of which tier the backups are that logs are replayed from. */
export type Bases = 'physical' | 'logical';

export const basesOf = (engine: EngineKind): Bases => (engine === 'postgres' ? 'physical' : 'logical');

/** null: switched off by hand, or not had by the engine. */
export interface Tiers {
  log: LogTier | null;
  logical: LogicalTier | null;
  physical: PhysicalTier | null;
  snapshot: SnapshotTier | null;
}

export interface Retention {
  logMs: number;
  logicalMs: number;
  physicalMs: number;
  snapshotMs: number;
  /** what takes imports back */
  undoMs: number;
}

/** The tiers as the configuration has them: hand-set, `off`, or left to be derived. */
export interface TierChoices {
  log?: 'off' | { maxAge?: string | undefined } | undefined;
  logical?: 'off' | { schedule?: string | undefined; fingerprints?: boolean | undefined } | undefined;
  snapshot?: 'off' | { schedule?: string | undefined; of?: SnapshotTier['of'] | undefined } | undefined;
  physical?: 'off' | { full?: string | undefined; diff?: string | undefined } | undefined;
}

/** The tiers that were chosen by hand, and for the rest those that the objectives ask for. */
export function deriveTiers(input: {
  name: string;
  objectives: Objectives;
  choices: TierChoices;
  retention: Retention;
}): Tiers {
  const { name, objectives, choices, retention } = input;
  const { log = {}, logical = {}, physical = {}, snapshot = {} } = choices;
  return {
    log: log === 'off' ? null : logTier(objectives, log.maxAge),
    logical:
      logical === 'off'
        ? null
        : {
            schedule: logical.schedule === undefined ? [defaultLogical(name)] : [logical.schedule],
            fingerprints: logical.fingerprints ?? true,
          },
    physical: physical === 'off' ? null : physicalTier(name, objectives, physical, retention),
    snapshot:
      snapshot === 'off' || (physical === 'off' && logical === 'off')
        ? null
        : {
            schedule: [snapshot.schedule ?? defaultSnapshot(name)],
            of: snapshot.of ?? (physical === 'off' ? 'logical' : 'physical'),
          },
  };
}

/** Logs: maxAge as set, else 5 minutes or half of the RPO, whichever is less. */
export function logTier(objectives: Objectives, maxAge: string | undefined): LogTier {
  const maxAgeMs =
    maxAge === undefined ? Math.min(LARGEST_MAX_AGE, objectives.rpoMs / 2) : parseDuration(maxAge);
  const watchEveryMs = Math.min(MINUTE, Math.max(2_000, maxAgeMs / 5));
  return { maxAgeMs, watchEveryMs, worstMs: maxAgeMs / 2 + watchEveryMs + MODEL.archiveMs };
}

const LONGEST_SETTLE = 2 * MINUTE;

/**
 * Archivers push many logs at once, and so in no order: a hole among archived logs counts when what is above it has been
 * there this long.
 */
export function settleMs(log: LogTier | null): number {
  return Math.min(LONGEST_SETTLE, log?.maxAgeMs ?? LONGEST_SETTLE);
}

function physicalTier(
  name: string,
  objectives: Objectives,
  set: { full?: string | undefined; diff?: string | undefined },
  retention: Retention,
): PhysicalTier {
  const derived = defaultPhysical(name, differentialEveryHours(objectives.rtoMs));
  const full = set.full === undefined ? derived.full : [set.full];
  let diff = set.full === undefined ? derived.diff : derived.everyDay;
  if (set.diff === 'off') diff = [];
  else if (set.diff !== undefined) diff = [set.diff];
  const fullGapMs = largestGapMs(full) ?? Number.POSITIVE_INFINITY;
  const baseGapMs = largestGapMs([...full, ...diff]) ?? Number.POSITIVE_INFINITY;
  // One more than fit into the retention: the window has to begin in a base older than itself.
  const retentionFull = Math.max(2, Math.ceil(retention.physicalMs / fullGapMs) + 1);
  // The last of them has to have ended before the window begins, also where it took longer than the newest.
  const retentionArchive = Math.min(retentionFull, Math.floor(retention.logMs / fullGapMs) + 2);
  return { full, diff, fullGapMs, baseGapMs, retentionFull, retentionArchive };
}

/** As rarely as a replay of the logs since then fits into half of the RTO; the other half is for copying. */
function differentialEveryHours(rtoMs: number): number {
  const steps = [24, 12, 8, 6, 4, 3, 2];
  return steps.find((hours) => replayMs(hours * 3_600_000) <= rtoMs / 2) ?? 1;
}

/** Milliseconds that replaying the logs of this span takes, by the model. */
export function replayMs(logsMs: number): number {
  return (logsMs / DAY) * MODEL.replayPerDayMs;
}

/** A time between two runs, for people; infinite where there are none. */
export function describeGap(ms: number): string {
  return Number.isFinite(ms) ? formatDuration(ms) : 'more than a year';
}
