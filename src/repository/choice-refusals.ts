import type { Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { describeTarget } from '../model/target.ts';
import { consistentAt } from './bases.ts';
import { type LogIndex, nameOf, type Stretch } from './chain.ts';
import type { Aim, Candidate, Situation } from './choice.ts';
import { continuityOf, provenUntil } from './continuity.ts';

/** As people are told what they have named. */
export const whatIs = ({ tier, copyOf }: Manifest): string =>
  copyOf === undefined ? tier : `a snapshot of a ${copyOf.tier} one`;

/** The place before a move that a base was taken at; undefined: the database still lives there. */
export const formerOf = ({ former }: Situation, { stanza }: Manifest) =>
  former?.find((one) => one.stanza === stanza);

/** A base of a place that was left does not reach what was written since. */
export function movedNotices(situation: Situation, manifest: Manifest): string[] {
  const left = formerOf(situation, manifest);
  if (left === undefined) return [];
  return [
    `the new stanza has no base yet: what was written since the database was moved at ${left.until} is not reached`,
  ];
}

/** The place was left before it archived the target, and the place of now has no base from before it. */
export function afterMove(situation: Situation, { manifest, stretch }: Candidate): HoldfastError {
  const until = formerOf(situation, manifest)?.until;
  const proven = Math.max(consistentAt(manifest), provenUntil(stretch));
  return new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(situation.target)} cannot be reached: it is after what was archived before the database was moved at ${until}, and before the first base of its new place`,
    {
      hint: `the last moment before it that can be recovered is ${new Date(proven).toISOString()}; holdfast catalog ${manifest.database} shows the window`,
    },
  );
}

const span = (first: string, last: string): string => (first === last ? first : `${first} to ${last}`);

/** What a recovery to the end of the logs before a gap leaves behind. */
export function gapNotices(index: LogIndex, stretch: Stretch): string[] {
  if (stretch.hole === null) return [];
  const { first, last, beyond } = stretch.hole;
  const count = last - first + 1;
  const name = (number: number) => nameOf(stretch.timeline, number, index.segmentBytes);
  const proven = provenUntil(stretch);
  const until = Number.isFinite(proven) ? `, which is after ${new Date(proven).toISOString()}` : '';
  return [
    `${countOf(count, 'log')} missing in the archive (${span(name(first), name(last))}): the recovery ends at the end of ${name(first - 1)}${until}`,
    `beyond the gap ${countOf(beyond.count, 'log')} cannot be used, ${span(beyond.first, beyond.last)}: what committed in them, and in what is missing, is lost`,
  ];
}

export function gapError(situation: Situation, index: LogIndex, stretch: Stretch): HoldfastError {
  const hole = stretch.hole ?? { first: stretch.last + 1, last: stretch.last + 1 };
  const name = (number: number) => nameOf(stretch.timeline, number, index.segmentBytes);
  const count = hole.last - hole.first + 1;
  const proven = provenUntil(stretch);
  return new HoldfastError(
    'LogGap',
    `${describeTarget(situation.target)} cannot be reached: ${countOf(count, 'log')} missing in the archive (${span(name(hole.first), name(hole.last))})`,
    {
      hint: Number.isFinite(proven)
        ? `the last moment before the gap that can be recovered is ${new Date(proven).toISOString()}`
        : 'no moment between the base and the gap is proved: give the backup itself as the target',
    },
  );
}

export function beforeOldest(situation: Situation, bases: readonly Manifest[]): HoldfastError {
  const { target, now } = situation;
  const oldest = continuityOf(situation, now).intervals[0]?.from ?? bases.at(-1)?.finishedAt;
  return new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(target)} is before the oldest moment that can be recovered, ${oldest}`,
    { hint: `holdfast catalog ${bases[0]?.database} shows the window` },
  );
}

export function noBase({ manifests, target }: Aim): HoldfastError {
  const database = manifests[0]?.database ?? '<database>';
  const snapshot = manifests.find(({ copyOf }) => copyOf?.tier === 'physical');
  const take = `take one with holdfast backup ${database} --tier physical --kind full`;
  return new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(target)} cannot be reached: there is no physical backup`,
    {
      hint:
        snapshot === undefined
          ? `${take}; what happened before it cannot be recovered`
          : `${take}; of before it there is what snapshots hold: --backup ${snapshot.id} is as of ${snapshot.finishedAt}`,
    },
  );
}
