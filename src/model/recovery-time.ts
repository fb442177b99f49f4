import { largestGapMs } from './cron.ts';
import { formatDuration } from './duration.ts';
import type { Judgement, Refusal } from './judgement.ts';
import { describeObjective, type Objectives } from './objective.ts';
import { type Bases, describeGap, MODEL, replayMs, type Tiers } from './tier.ts';

/** How long a restore takes with these tiers, as arithmetic for people, and why that is too long. */
export function judgeRecoveryTime(
  objectives: Objectives,
  tiers: Tiers,
  { bases, databaseBytes }: { bases: Bases; databaseBytes: number | null },
): Judgement {
  const rto = describeObjective('RTO', objectives);
  if (bases === 'logical') return judgeLoading(rto, tiers);
  if (tiers.physical === null) {
    const line = `${rto}: without the physical tier a restore loads the newest dump; how long that takes is not known before a drill`;
    if (tiers.log === null) return { lines: [line], refusals: refusalsWithoutBase(tiers) };
    const message = 'logs cannot be replayed without the physical tier';
    const hint = 'remove `physical: off`, or switch the log tier off too';
    return { lines: [line], refusals: [{ path: ['tiers', 'physical'], message, hint }] };
  }
  const { baseGapMs } = tiers.physical;
  const replay = tiers.log === null ? 0 : replayMs(baseGapMs);
  const left = objectives.rtoMs - replay - MODEL.startMs;
  const logs = `the newest base is up to ${describeGap(baseGapMs)} old, replaying its logs takes ${describeGap(replay)} (${formatDuration(MODEL.replayPerDayMs)} for a day of logs)`;
  const before = `${rto}: ${logs}, start and checks ${formatDuration(MODEL.startMs)}`;
  if (left <= 0) {
    const message = `${rto} cannot be met: ${logs}, start and checks ${formatDuration(MODEL.startMs)}`;
    const hint =
      'back up more often (leave full and diff out to have them derived), or set a larger objectives.rto';
    return {
      lines: [`${before}: nothing is left to copy files`],
      refusals: [{ path: rtoPath(tiers, objectives), message, hint }],
    };
  }
  return judgeCopying({ before, left, objectives, databaseBytes });
}

/** Bases that are dumps: how fast they load nobody knows before, replaying their logs is arithmetic. */
function judgeLoading(rto: string, tiers: Tiers): Judgement {
  if (tiers.logical === null) {
    if (tiers.log === null) return { lines: [], refusals: refusalsWithoutBase(tiers) };
    const message = 'logs cannot be replayed without the logical tier: its backups are the bases';
    const hint = 'remove `logical: off`, or switch the log tier off too';
    return { lines: [], refusals: [{ path: ['tiers', 'logical'], message, hint }] };
  }
  const gapMs = largestGapMs(tiers.logical.schedule) ?? Number.POSITIVE_INFINITY;
  const logs =
    tiers.log === null
      ? ''
      : `, which is up to ${describeGap(gapMs)} old, and replays its logs (${formatDuration(MODEL.replayPerDayMs)} for a day of logs)`;
  const line = `${rto}: a restore loads the newest dump${logs}; how long loading takes is not known before a drill`;
  return { lines: [line], refusals: [] };
}

function judgeCopying(input: {
  before: string;
  left: number;
  objectives: Objectives;
  databaseBytes: number | null;
}): Judgement {
  const { before, left, objectives, databaseBytes } = input;
  const speed = `${MODEL.restoreBytesPerSecond / 1024 ** 2} MiB/s`;
  const room = gibibytes((left / 1_000) * MODEL.restoreBytesPerSecond);
  if (databaseBytes === null) {
    const line = `${before}: ${formatDuration(left)} are left to copy files, enough for ${room} at ${speed}`;
    return { lines: [line], refusals: [] };
  }
  const copy = (databaseBytes / MODEL.restoreBytesPerSecond) * 1_000;
  const size = `copying ${gibibytes(databaseBytes)} at ${speed} takes ${formatDuration(copy)}`;
  if (copy <= left) {
    return { lines: [`${before}, ${size}: ${formatDuration(left - copy)} to spare`], refusals: [] };
  }
  const message = `${describeObjective('RTO', objectives)} cannot be met: ${size}, and ${formatDuration(left)} are left for it`;
  const hint = 'set a larger objectives.rto, or recover onto a standby or a snapshot';
  return {
    lines: [`${before}, ${size}: too long`],
    refusals: [{ path: ['objectives', 'rto'], message, hint }],
  };
}

/** The schedule that is to blame where one was set by hand; else the objective itself. */
function rtoPath(tiers: Tiers, objectives: Objectives): string[] {
  const best = replayMs(3_600_000) + MODEL.startMs;
  if (objectives.rtoMs <= best) return ['objectives', 'rto'];
  return ['tiers', 'physical', tiers.physical?.diff.length === 0 ? 'full' : 'diff'];
}

function refusalsWithoutBase(tiers: Tiers): Refusal[] {
  if (tiers.logical !== null) return [];
  const hint = 'leave at least one of logical and physical on';
  return [{ path: ['tiers'], message: 'all tiers are off: there is nothing to restore', hint }];
}

function gibibytes(bytes: number): string {
  const amount = bytes / 1024 ** 3;
  return `${amount < 10 ? amount.toFixed(1) : Math.round(amount).toLocaleString('en-US')} GiB`;
}
