import type { Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { describeTarget, type Target } from '../model/target.ts';
import { parseLsn, segmentOf } from '../model/wal.ts';
import {
  countSegments,
  indexLogs,
  type LogIndex,
  nameOf,
  numberOf,
  type Recoverability,
  type Stretch,
  stretchesFrom,
} from './chain.ts';
import { consistentAt, continuityOf, provenUntil, usableBases } from './continuity.ts';

export interface Choice {
  manifest: Manifest;
  timeline: number;
  firstLog: string | null;
  lastLog: string | null;
  /** how many segments the replay reads, all present */
  segments: number;
  /** needs-closing: only a log that production has not archived yet can prove the target */
  reachable: 'yes' | 'needs-closing';
  notices: string[];
  /** what only the replay can tell, for people who wait for it */
  beforeReplay?: string;
}

interface Situation extends Recoverability {
  target: Target;
  now: Date;
  /** id of the base that is restored already, or null */
  preferred?: string | null;
}

/** A base and a stretch of log that can be replayed from it. */
interface Candidate {
  manifest: Manifest;
  stretch: Stretch;
}

/**
 * The base to restore and the log range that reaches the target, or the reason why there is none:
 * TargetNotRecoverable, LogGap, UnknownBackup, NotSupported, BackupUnusable. The newest base that can, unless the
 * preferred one reaches the same place: on the same timeline, by logs up to the same end.
 */
export function chooseBackup(situation: Situation): Choice {
  const best = chooseBest(situation);
  const { preferred, target } = situation;
  if (preferred == null || preferred === best.manifest.id || 'backup' in target) return best;
  const own = chooseFrom(situation, preferred);
  const same =
    own !== null &&
    own.timeline === best.timeline &&
    own.lastLog === best.lastLog &&
    own.reachable === best.reachable;
  return same ? own : best;
}

/** The same with this base alone; null where it cannot reach the target. */
function chooseFrom(situation: Situation, id: string): Choice | null {
  const needed = situation.manifests.find((manifest) => manifest.id === id)?.dependsOn ?? [];
  const manifests = situation.manifests.filter((manifest) => [id, ...needed].includes(manifest.id));
  try {
    const choice = chooseBest({ ...situation, manifests });
    return choice.manifest.id === id ? choice : null;
  } catch (error) {
    if (error instanceof HoldfastError) return null;
    throw error;
  }
}

function chooseBest(situation: Situation): Choice {
  const { target } = situation;
  if ('backup' in target) return chooseById(situation, target.backup);
  if ('gtid' in target || 'optime' in target) {
    throw new HoldfastError('NotSupported', `${describeTarget(target)} is no target for PostgreSQL`, {
      hint: 'give a time, lsn, xid, name, latest or backup',
    });
  }
  const index = indexLogs(situation);
  const bases = usableBases(situation.manifests).toSorted((a, b) => consistentAt(b) - consistentAt(a));
  if (bases.length === 0) throw noBase(situation);
  if ('time' in target)
    return chooseByTime(situation, index, bases, Date.parse(target.time.replace(' ', 'T')));
  if ('lsn' in target) return chooseByLsn(situation, index, bases, parseLsn(target.lsn));
  return chooseNewest(situation, index, bases);
}

function chooseByTime(situation: Situation, index: LogIndex, bases: Manifest[], time: number): Choice {
  const { target, now } = situation;
  if (time > now.getTime()) {
    throw new HoldfastError('TargetNotRecoverable', `the target ${describeTarget(target)} is in the future`, {
      hint: `it is ${now.toISOString()} now: give an earlier time with its offset, or latest`,
    });
  }
  const early = bases.filter((manifest) => consistentAt(manifest) <= time);
  if (early.length === 0) throw beforeOldest(situation, bases);
  const candidates = candidatesOf(situation, index, early);
  for (const { manifest, stretch } of candidates) {
    const proof = stretch.heartbeats.find(({ at }) => at > time);
    if (proof !== undefined) return choiceOf(index, manifest, stretch, proof.segment, 'yes');
  }
  return closeable(situation, index, candidates);
}

function chooseByLsn(situation: Situation, index: LogIndex, bases: Manifest[], lsn: bigint): Choice {
  const early = bases.filter(({ positions }) => positions.stop !== null && parseLsn(positions.stop) <= lsn);
  if (early.length === 0) throw beforeOldest(situation, bases);
  const candidates = candidatesOf(situation, index, early);
  const segment = Number(segmentOf(lsn, index.segmentBytes));
  const found = candidates.find(({ stretch }) => stretch.first <= segment && segment <= stretch.last);
  if (found !== undefined) return choiceOf(index, found.manifest, found.stretch, segment, 'yes');
  return closeable(situation, index, candidates);
}

/** For latest, and for what only the replay can find: a transaction or a restore point has no known place. */
function chooseNewest(situation: Situation, index: LogIndex, bases: Manifest[]): Choice {
  const { target } = situation;
  const newest = candidatesOf(situation, index, bases)[0] as Candidate;
  if ('latest' in target && newest.stretch.hole !== null) throw gapError(situation, index, newest.stretch);
  const choice = choiceOf(index, newest.manifest, newest.stretch, newest.stretch.last, 'yes');
  if ('latest' in target) return choice;
  const beforeReplay = `where ${describeTarget(target)} lies is known only after the replay; before ${newest.manifest.finishedAt}, where the newest base ends, it cannot be reached: give a time instead`;
  return { ...choice, beforeReplay };
}

function chooseById(situation: Situation, id: string): Choice {
  const { manifests } = situation;
  const manifest = manifests.find((candidate) => candidate.id === id);
  if (manifest === undefined) {
    const newest = manifests
      .filter(({ tier }) => tier === 'physical')
      .toSorted((a, b) => consistentAt(b) - consistentAt(a))
      .slice(0, 5)
      .map((candidate) => candidate.id);
    throw new HoldfastError('UnknownBackup', `there is no backup ${id}`, {
      hint:
        newest.length === 0 ? 'there is no physical backup at all' : `the newest are ${newest.join(', ')}`,
    });
  }
  if (manifest.tier !== 'physical') {
    throw new HoldfastError(
      'NotSupported',
      `backup ${id} is ${manifest.tier}: a whole server cannot be recovered from it`,
      {
        hint: 'restore tables from it with holdfast restore table --backup, or give a physical backup',
      },
    );
  }
  const missing = manifest.dependsOn.filter((needed) => !manifests.some((other) => other.id === needed));
  if (missing.length > 0) {
    throw new HoldfastError('BackupUnusable', `backup ${id} needs ${missing.join(', ')}, which is gone`, {
      hint: 'give another backup; holdfast catalog lists them',
    });
  }
  const index = indexLogs(situation);
  const own = stretchesFrom(manifest, index)[0];
  const { timeline, startLog, stopLog } = manifest.positions;
  if (own === undefined) {
    const notice = 'the logs that this base needs are not in the archive: its own copies of them are used';
    return {
      manifest,
      timeline: timeline ?? 1,
      firstLog: startLog,
      lastLog: stopLog,
      segments: 0,
      reachable: 'yes',
      notices: [notice],
    };
  }
  const stop = numberOf(stopLog ?? '', index.segmentBytes) ?? own.last;
  return choiceOf(index, manifest, own, stop, 'yes');
}

/** Newest base first, and of each the highest timeline first: what production follows, unless one is asked for. */
function candidatesOf(situation: Situation, index: LogIndex, bases: readonly Manifest[]): Candidate[] {
  const wanted = situation.target.timeline;
  const all = bases.flatMap((manifest) =>
    stretchesFrom(manifest, index)
      .toReversed()
      .map((stretch) => ({ manifest, stretch })),
  );
  if (all.length === 0) {
    throw new HoldfastError(
      'LogGap',
      'the logs that the bases before the target need are not in the archive',
      {
        hint: `only the ends of the bases can be recovered: give backup ${bases[0]?.id}`,
      },
    );
  }
  const candidates = wanted === undefined ? all : all.filter(({ stretch }) => stretch.timeline === wanted);
  if (candidates.length > 0) return candidates;
  const known = [...new Set(all.map(({ stretch }) => stretch.timeline))].sort((a, b) => a - b);
  throw new HoldfastError('TargetNotRecoverable', `timeline ${wanted} cannot be reached from any base`, {
    hint: `the timelines are ${known.join(', ')}`,
  });
}

/** Nothing archived proves the target. Where no log is missing, production can still close the current one. */
function closeable(situation: Situation, index: LogIndex, candidates: readonly Candidate[]): Choice {
  const open = candidates.find(({ stretch }) => stretch.hole === null);
  if (open === undefined) throw gapError(situation, index, (candidates[0] as Candidate).stretch);
  return choiceOf(index, open.manifest, open.stretch, open.stretch.last, 'needs-closing');
}

function choiceOf(
  index: LogIndex,
  manifest: Manifest,
  stretch: Stretch,
  last: number,
  reachable: Choice['reachable'],
): Choice {
  const own = manifest.positions.timeline ?? stretch.timeline;
  return {
    manifest,
    timeline: stretch.timeline,
    firstLog: manifest.positions.startLog,
    lastLog: nameOf(stretch.timeline, last, index.segmentBytes),
    segments: countSegments(stretch, last),
    reachable,
    notices:
      stretch.timeline === own
        ? []
        : [`the replay leaves timeline ${own} of the base and follows timeline ${stretch.timeline}`],
  };
}

function gapError(situation: Situation, index: LogIndex, stretch: Stretch): HoldfastError {
  const hole = stretch.hole ?? { first: stretch.last + 1, last: stretch.last + 1 };
  const name = (number: number) => nameOf(stretch.timeline, number, index.segmentBytes);
  const count = hole.last - hole.first + 1;
  const which = count === 1 ? name(hole.first) : `${name(hole.first)} to ${name(hole.last)}`;
  const proven = provenUntil(stretch);
  return new HoldfastError(
    'LogGap',
    `${describeTarget(situation.target)} cannot be reached: ${countOf(count, 'log')} missing in the archive (${which})`,
    {
      hint: Number.isFinite(proven)
        ? `the last moment before the gap that can be recovered is ${new Date(proven).toISOString()}`
        : 'no moment between the base and the gap is proved: give the backup itself as the target',
    },
  );
}

function beforeOldest(situation: Situation, bases: readonly Manifest[]): HoldfastError {
  const { target, now } = situation;
  const oldest = continuityOf(situation, now).intervals[0]?.from ?? bases.at(-1)?.finishedAt;
  return new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(target)} is before the oldest moment that can be recovered, ${oldest}`,
    { hint: `holdfast catalog ${bases[0]?.database} shows the window` },
  );
}

function noBase({ manifests, target }: Situation): HoldfastError {
  const database = manifests[0]?.database ?? '<database>';
  return new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(target)} cannot be reached: there is no physical backup`,
    {
      hint: `take one with holdfast backup ${database} --tier physical --kind full; what happened before it cannot be recovered`,
    },
  );
}
