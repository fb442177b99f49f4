import { largestGapMs } from './cron.ts';
import { formatDuration } from './duration.ts';
import type { Judgement, Refusal } from './judgement.ts';
import type { Objectives } from './objective.ts';
import { judgeRecoveryPoint } from './recovery-point.ts';
import { judgeRecoveryTime } from './recovery-time.ts';
import {
  type Bases,
  deriveTiers,
  describeGap,
  type Retention,
  type TierChoices,
  type Tiers,
} from './tier.ts';

const LONGEST_MONTH_MS = 31 * 86_400_000;

export interface Protection {
  tiers: Tiers;
  /** the arithmetic, a line each, for people */
  lines: string[];
  refusals: Refusal[];
}

export interface ProtectionInput {
  name: string;
  objectives: Objectives;
  choices: TierChoices;
  retention: Retention;
  /** of which tier the backups are that logs are replayed from; left out: physical */
  bases?: Bases;
  /** bytes of the database; null: not known yet */
  databaseBytes?: number | null;
}

/** Derives the tiers of a database from its objectives, and judges what was set by hand. */
export function deriveProtection(input: ProtectionInput): Protection {
  const tiers = deriveTiers(input);
  const rpo = judgeRecoveryPoint(input.objectives, tiers);
  const { bases = 'physical' } = input;
  const rto = judgeRecoveryTime(input.objectives, tiers, {
    bases,
    databaseBytes: input.databaseBytes ?? null,
  });
  const kept = judgeRetention(input.retention, tiers, bases);
  return {
    tiers,
    lines: [...rpo.lines, ...rto.lines, ...kept.lines],
    refusals: [...rpo.refusals, ...rto.refusals, ...kept.refusals],
  };
}

function judgeRetention(retention: Retention, tiers: Tiers, bases: Bases): Judgement {
  const lines: string[] = [];
  const refusals: Refusal[] = [];
  if (tiers.log !== null) lines.push(`log: a window of ${formatDuration(retention.logMs)}`);
  if (tiers.logical !== null) {
    const gap = largestGapMs(tiers.logical.schedule) ?? Number.POSITIVE_INFINITY;
    lines.push(
      `logical: ${describeSchedule(tiers.logical.schedule)}, kept ${formatDuration(retention.logicalMs)}`,
    );
    if (gap > retention.logicalMs) refusals.push(tooShort('logical', retention.logicalMs, gap));
    if (bases === 'logical') refusals.push(...logsBeyondLogical(retention, tiers, gap));
  }
  if (tiers.physical !== null) {
    const { full, diff, fullGapMs, retentionFull, retentionArchive } = tiers.physical;
    const differential = diff.length === 0 ? '' : `, differential ${describeSchedule(diff)}`;
    lines.push(
      `physical: full ${describeSchedule(full)}${differential}, kept ${formatDuration(retention.physicalMs)} (${retentionFull} fulls, with all logs since the newest ${retentionArchive})`,
    );
    if (fullGapMs > retention.physicalMs)
      refusals.push(tooShort('physical', retention.physicalMs, fullGapMs));
    refusals.push(...logsBeyondPhysical(retention, tiers));
  }
  if (tiers.snapshot !== null) {
    const { of, schedule } = tiers.snapshot;
    lines.push(
      `snapshot: a month's first verified ${of} backup, looked for ${describeSchedule(schedule)}, kept ${formatDuration(retention.snapshotMs)}`,
    );
    if (tiers[of] === null) {
      const message = `snapshots copy ${of} backups, and that tier is off`;
      const hint = `set tiers.snapshot.of to ${of === 'physical' ? 'logical' : 'physical'}, or tiers.snapshot to off`;
      refusals.push({ path: ['tiers', 'snapshot'], message, hint });
    }
    if (retention.snapshotMs < LONGEST_MONTH_MS)
      refusals.push(tooShort('snapshot', retention.snapshotMs, LONGEST_MONTH_MS));
  }
  return { lines, refusals };
}

function logsBeyondPhysical({ logMs, physicalMs }: Retention, { log }: Tiers): Refusal[] {
  if (log === null || logMs <= physicalMs) return [];
  const message = `logs are kept longer (${formatDuration(logMs)}) than the bases that they need (${formatDuration(physicalMs)})`;
  return [{ path: ['retention', 'log'], message, hint: 'set retention.physical to at least retention.log' }];
}

/** No tool keeps one more of them: the base that a window begins in has to be kept while it gets older than the window. */
function logsBeyondLogical({ logMs, logicalMs }: Retention, { log }: Tiers, gapMs: number): Refusal[] {
  if (log === null || gapMs > logicalMs || logMs + gapMs <= logicalMs) return [];
  const message = `a window of ${formatDuration(logMs)} begins in a logical backup that is up to ${describeGap(gapMs)} older, and they are kept ${formatDuration(logicalMs)} only`;
  const hint = `set retention.logical to at least ${formatDuration(logMs + gapMs)}, or retention.log to at most ${formatDuration(Math.max(0, logicalMs - gapMs))}`;
  return [{ path: ['retention', 'log'], message, hint }];
}

function tooShort(tier: 'logical' | 'physical' | 'snapshot', keptMs: number, gapMs: number): Refusal {
  return {
    path: ['retention', tier],
    message: `${tier} backups are kept ${formatDuration(keptMs)} and made up to ${describeGap(gapMs)} apart: there would be times with none`,
    hint: 'keep them longer than the time between two, or make them more often',
  };
}

function describeSchedule(crons: readonly string[]): string {
  return crons.map((cron) => `"${cron}"`).join(' and ');
}
