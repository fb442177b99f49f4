import type { Due, LifecycleRule } from '../../model/lifecycle.ts';
import { DAY_MS, midnightAfter, midnightFrom } from './calendar.ts';
import type { AuditedVersion } from './facts.ts';
import { fitsSize } from './rule-index.ts';

/**
 * Who reads it: a tool, by key, so that a marker on top is the end; ours, by version; or the catalog, which passes over
 * what lies under a marker once its lock has ended.
 */
export type Reader = 'key' | 'version' | 'manifest';

/** Why something ends. */
export type Cause =
  | { by: 'rule'; rule: LifecycleRule; after?: LifecycleRule }
  /** the tool's own expiry */
  | { by: 'tool' }
  /** it lies under a marker, and the lock that kept it in the catalog ends */
  | { by: 'lock' }
  /** it has ended already */
  | { by: 'past' };

/** Infinity: never. -Infinity: before the audit. */
export interface Ending {
  at: number;
  cause: Cause;
}

export interface Fate {
  /** when whoever reads it cannot any more */
  unreadable: Ending;
  /** when it is removed for good */
  removed: number;
  /** when it comes into a class that it has to be thawed from */
  archived: Ending;
}

/** A lock as it will be. */
export interface Hold {
  until: number;
  legal: boolean;
}

/** What is the same for every version of a repository. */
export interface Store {
  versioning: 'enabled' | 'suspended' | 'off';
  now: number;
  /** when younger versions of a key are not current any more: what `keepNewer` counts */
  newer(version: FatedVersion): readonly number[];
}

export type FatedVersion = Pick<
  AuditedVersion,
  'key' | 'versionId' | 'writtenAt' | 'sizeBytes' | 'storageClass' | 'noncurrentSince' | 'under'
>;

export const PAST: Ending = { at: Number.NEGATIVE_INFINITY, cause: { by: 'past' } };
export const NEVER: Ending = { at: Number.POSITIVE_INFINITY, cause: { by: 'past' } };
export const NO_HOLD: Hold = { until: Number.NEGATIVE_INFINITY, legal: false };

const ARCHIVES: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE'];
export const isArchive = (storageClass: string): boolean => ARCHIVES.includes(storageClass);

export const earlier = (a: Ending, b: Ending): Ending => (b.at < a.at ? b : a);

/** What becomes of a version under these rules. */
export function fateOf(
  version: FatedVersion,
  reader: Reader,
  { rules, hold, store }: { rules: readonly LifecycleRule[]; hold: Hold; store: Store },
): Fate {
  const isCurrent = version.noncurrentSince === null;
  const left = isCurrent
    ? expiry(version, rules, store)
    : { at: version.noncurrentSince ?? 0, cause: PAST.cause };
  const archived = archiving(version, rules, { left: left.at, store });
  // Without versions of its own nothing is left to lie under a marker.
  if (isCurrent && (store.versioning === 'off' || isUnversioned(version, store)))
    return { unreadable: left, removed: left.at, archived };
  const removal = removing(version, rules, { left, hold, store });
  const ended = isCurrent ? left : PAST;
  if (reader === 'key') return { unreadable: ended, removed: removal.at, archived };
  if (reader === 'version' || version.under === 'version')
    return { unreadable: removal, removed: removal.at, archived };
  const hidden = {
    at: Math.max(left.at, hold.until),
    cause: isCurrent ? left.cause : { by: 'lock' as const },
  };
  const unreadable = hold.legal ? removal : hidden.at > store.now ? earlier(removal, hidden) : PAST;
  return { unreadable, removed: removal.at, archived };
}

const isUnversioned = ({ versionId }: FatedVersion, { versioning }: Store): boolean =>
  versioning === 'suspended' && versionId === null;

/** When the earliest rule ends the current version: with versioning a marker is laid on top. */
export function expiry(version: FatedVersion, rules: readonly LifecycleRule[], store: Store): Ending {
  let ending = NEVER;
  for (const rule of rules) {
    if (rule.expire === null || !fitsSize(rule, version.sizeBytes)) continue;
    const at = dueAt(version.writtenAt, rule.expire, store.now);
    if (at < ending.at) ending = { at, cause: { by: 'rule', rule } };
  }
  return ending;
}

/** What is overdue goes at the next midnight. */
function dueAt(writtenAt: number, due: Due, now: number): number {
  const at = 'days' in due ? writtenAt + due.days * DAY_MS : Date.parse(due.date);
  return Math.max(midnightFrom(at), midnightAfter(Math.max(writtenAt, now)));
}

/** When the earliest rule removes it for good, after it has left the top at `left`, but never below a lock. */
function removing(
  version: FatedVersion,
  rules: readonly LifecycleRule[],
  { left, hold, store }: { left: Ending; hold: Hold; store: Store },
): Ending {
  if (left.at === Number.POSITIVE_INFINITY || hold.legal) return NEVER;
  let ending = NEVER;
  for (const rule of rules) {
    if (rule.expireNoncurrent === null || !fitsSize(rule, version.sizeBytes)) continue;
    const { days, keepNewer } = rule.expireNoncurrent;
    const pushed = keepNewer === 0 ? left.at : nthOf(store.newer(version), keepNewer);
    const due = Math.max(left.at + days * DAY_MS, pushed, hold.until);
    const at = Math.max(midnightFrom(due), midnightAfter(store.now));
    if (at < ending.at) ending = { at, cause: causeOf(left.cause, rule) };
  }
  return ending;
}

/** The rule that laid the marker is to blame; where none did, the one that removes. */
function causeOf(left: Cause, removing: LifecycleRule): Cause {
  if (left.by !== 'rule') return { by: 'rule', rule: removing };
  return left.rule === removing ? left : { ...left, after: removing };
}

const nthOf = (sorted: readonly number[], n: number): number => sorted[n - 1] ?? Number.POSITIVE_INFINITY;

/** What ends at a midnight is not moved by it any more. */
function archiving(
  version: FatedVersion,
  rules: readonly LifecycleRule[],
  { left, store }: { left: number; store: Store },
): Ending {
  if (isArchive(version.storageClass)) return PAST;
  let ending = NEVER;
  for (const rule of rules) {
    if (!fitsSize(rule, version.sizeBytes)) continue;
    for (const { due, storageClass } of rule.transitions) {
      if (version.noncurrentSince !== null || !isArchive(storageClass)) continue;
      const at = dueAt(version.writtenAt, due, store.now);
      if (at < left && at < ending.at) ending = { at, cause: { by: 'rule', rule } };
    }
    for (const { days, storageClass } of rule.noncurrentTransitions) {
      if (left === Number.POSITIVE_INFINITY || !isArchive(storageClass)) continue;
      const at = Math.max(midnightFrom(left + days * DAY_MS), midnightAfter(store.now));
      if (at < ending.at) ending = { at, cause: { by: 'rule', rule } };
    }
  }
  return ending;
}
