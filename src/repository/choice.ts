import type { Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { describeTarget, type Target } from '../model/target.ts';
import { parseLsn, segmentOf } from '../model/wal.ts';
import { consistentAt, usableBases } from './bases.ts';
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
import {
  afterMove,
  beforeOldest,
  formerOf,
  gapError,
  gapNotices,
  movedNotices,
  noBase,
  whatIs,
} from './choice-refusals.ts';
import { chooseShipped } from './shipped/choice.ts';

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
  /** what people have to know before the replay: what only that can tell, or what it cannot reach */
  beforeReplay?: string;
  /** of logs that we ship: whose they are (shipped/name.ts); absent where none are replayed */
  lineage?: string;
}

export type Aim = Recoverability & { target: Target };

export interface Situation extends Aim {
  now: Date;
  /** id of the base that is restored already, or null */
  preferred?: string | null;
  /** where logs are missing after the newest base, `latest` is refused, or goes to the end of what is before them */
  beyondGap?: BeyondGap;
}

export type BeyondGap = 'refuse' | 'leave';

/** A base and a stretch of log that can be replayed from it. */
export interface Candidate {
  manifest: Manifest;
  stretch: Stretch;
}

/**
 * The base to restore and the log range that reaches the target, or the reason why there is none:
 * TargetNotRecoverable, LogGap, UnknownBackup, NotSupported, BackupUnusable. The newest base that can, unless the
 * preferred one reaches the same place: on the same timeline, by logs up to the same end.
 */
export function chooseBackup(situation: Situation): Choice {
  const { shipped } = situation;
  const best = shipped === undefined ? chooseBest(situation) : chooseShipped({ ...situation, shipped });
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
    const choice = chooseBackup({ ...situation, manifests, preferred: null });
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
  const bases = basesOf(situation);
  if ('time' in target)
    return chooseByTime(situation, index, bases, Date.parse(target.time.replace(' ', 'T')));
  if ('lsn' in target) return chooseByLsn(situation, index, bases, parseLsn(target.lsn));
  return chooseNewest(situation, index, bases);
}

/** What a recovery to the end of the logs restores and walks, up to a gap where there is one. */
export function newestOf(known: Recoverability): Candidate {
  const situation = { ...known, target: { latest: true } as const };
  return candidatesOf(situation, indexLogs(known), basesOf(situation))[0] as Candidate;
}

/** Newest first. */
function basesOf(situation: Aim): Manifest[] {
  const bases = usableBases(situation.manifests).toSorted((a, b) => consistentAt(b) - consistentAt(a));
  if (bases.length === 0) throw noBase(situation);
  return bases;
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
  const { manifest, stretch } = candidatesOf(situation, index, bases)[0] as Candidate;
  const choice = choiceOf(index, manifest, stretch, stretch.last, 'yes');
  const moved = movedNotices(situation, manifest);
  if ('latest' in target) {
    if (stretch.hole === null) return { ...choice, notices: [...choice.notices, ...moved] };
    if (situation.beyondGap !== 'leave') throw gapError(situation, index, stretch);
    const gap = gapNotices(index, stretch);
    // Said where the base is chosen too: a person may read no further that night.
    return { ...choice, notices: [...choice.notices, ...gap, ...moved], beforeReplay: gap.join('; ') };
  }
  const beforeReplay = `where ${describeTarget(target)} lies is known only after the replay; before ${manifest.finishedAt}, where the newest base ends, it cannot be reached: give a time instead`;
  return { ...choice, notices: [...choice.notices, ...moved], beforeReplay };
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
  if ((manifest.copyOf ?? manifest).tier === 'logical') {
    throw new HoldfastError(
      'NotSupported',
      `backup ${id} is ${whatIs(manifest)}: a whole server cannot be recovered from it`,
      {
        hint: 'restore tables from it with holdfast restore table --backup, or give a physical backup',
      },
    );
  }
  const index = indexLogs(situation);
  if (manifest.tier === 'snapshot') return choiceOfSnapshot(index, manifest);
  const missing = manifest.dependsOn.filter((needed) => !manifests.some((other) => other.id === needed));
  if (missing.length > 0) {
    throw new HoldfastError('BackupUnusable', `backup ${id} needs ${missing.join(', ')}, which is gone`, {
      hint: 'give another backup; holdfast catalog lists them',
    });
  }
  const own = stretchesFrom(manifest, index)[0];
  if (own === undefined) {
    return alone(manifest, {
      segments: 0,
      notice: 'the logs that this base needs are not in the archive: its own copies of them are used',
    });
  }
  const stop = numberOf(manifest.positions.stopLog ?? '', index.segmentBytes) ?? own.last;
  return choiceOf(index, manifest, own, stop, 'yes');
}

/** A snapshot holds the logs that it needs, and nothing that leads further. */
function choiceOfSnapshot(index: LogIndex, manifest: Manifest): Choice {
  const { startLog, stopLog } = manifest.positions;
  const [first, last] = [startLog, stopLog].map((log) => numberOf(log ?? '', index.segmentBytes));
  return alone(manifest, {
    segments: first == null || last == null ? 0 : last - first + 1,
    notice: `a copy of physical backup ${manifest.copyOf?.id}, restored from its snapshot alone`,
  });
}

/** A base to its own consistent point, whatever the archive holds. */
function alone(manifest: Manifest, { segments, notice }: { segments: number; notice: string }): Choice {
  const { timeline, startLog, stopLog } = manifest.positions;
  return {
    ...{ manifest, timeline: timeline ?? 1, firstLog: startLog, lastLog: stopLog },
    ...{ segments, reachable: 'yes', notices: [notice] },
  };
}

/** Newest base first, and of each the highest timeline first: what production follows, unless one is asked for. */
function candidatesOf(situation: Aim, index: LogIndex, bases: readonly Manifest[]): Candidate[] {
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
  const whole = candidates.filter(({ stretch }) => stretch.hole === null);
  if (whole.length === 0) throw gapError(situation, index, (candidates[0] as Candidate).stretch);
  const open = whole.find(({ manifest }) => formerOf(situation, manifest) === undefined);
  if (open === undefined) throw afterMove(situation, whole[0] as Candidate);
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
