import { largestGapMs } from './cron.ts';
import { formatDuration } from './duration.ts';
import type { Judgement, Refusal } from './judgement.ts';
import { describeObjective, type Objectives } from './objective.ts';
import { describeGap, logTier, MODEL, type Tiers } from './tier.ts';

/** Shipping logs cannot do better; that wants a standby. */
const LEAST_RPO = 60_000;

/** What can be lost with these tiers, as arithmetic for people, and why that is too much. */
export function judgeRecoveryPoint(objectives: Objectives, tiers: Tiers): Judgement {
  const { rpoMs } = objectives;
  const rpo = describeObjective('RPO', objectives);
  if (tiers.log === null) return judgeRpoWithoutLogs(objectives, tiers);
  const { maxAgeMs, watchEveryMs, worstMs } = tiers.log;
  const refusals: Refusal[] = [];
  if (rpoMs < LEAST_RPO) {
    refusals.push({
      path: ['objectives', 'rpo'],
      message: `${rpo} is less than shipping logs can do (${formatDuration(LEAST_RPO)})`,
      hint: 'use a synchronous standby for less, and set the RPO of the backups to 1m or more',
    });
  } else if (maxAgeMs > rpoMs || worstMs > rpoMs) {
    refusals.push({
      path: ['tiers', 'log', 'maxAge'],
      message: `maxAge ${formatDuration(maxAgeMs)} cannot meet ${rpo}: ${formatDuration(Math.max(maxAgeMs, worstMs))} could be lost`,
      hint: `leave maxAge out (it is derived: ${formatDuration(logTier(objectives, undefined).maxAgeMs)}), or set a larger objectives.rpo`,
    });
  }
  const line =
    `${rpo}: newest log is at most ${formatDuration(maxAgeMs)} old. It is closed when half as old ` +
    `(${formatDuration(maxAgeMs / 2)}), looked at every ${formatDuration(watchEveryMs)}, archived within ` +
    `${formatDuration(MODEL.archiveMs)}: at most ${formatDuration(worstMs)} lost, ${formatDuration(Math.max(0, rpoMs - worstMs))} to spare`;
  return { lines: [line], refusals };
}

/** Without logs only the moments of the backups come back. */
function judgeRpoWithoutLogs(objectives: Objectives, { logical, physical }: Tiers): Judgement {
  const rpo = describeObjective('RPO', objectives);
  const gaps = [
    logical === null ? null : largestGapMs(logical.schedule),
    physical === null ? null : physical.baseGapMs,
  ].filter((gap) => gap !== null);
  const gap = gaps.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...gaps);
  const line = `${rpo}: without the log tier the newest backup is up to ${describeGap(gap)} old, and what it takes on top`;
  if (gap <= objectives.rpoMs) return { lines: [line], refusals: [] };
  const message = `without the log tier ${rpo} cannot be met: backups are up to ${describeGap(gap)} apart`;
  return {
    lines: [line],
    refusals: [
      { path: ['tiers', 'log'], message, hint: 'remove `log: off`, or back up more often than the RPO' },
    ],
  };
}
