import type { Due, LifecycleRule } from '../../../../src/model/lifecycle.ts';
import type { AuditedVersion, AuditFacts } from '../../../../src/repository/audit/facts.ts';

export const DAY = 86_400_000;

/** One version of an object as it is at the moment that the walk has come to. */
export interface Thing {
  /** as it is in the bucket; of what will be made only the folder is known */
  key: string;
  isFound: boolean;
  hasVersionId: boolean;
  sizeBytes: number;
  writtenAt: number;
  isThere: boolean;
  /** null: current */
  noncurrentSince: number | null;
  lockUntil: number;
  legalHold: boolean;
  isArchived: boolean;
  /** the tool reads what lies on top; ours are read in their versions; a manifest counts while its lock lasts */
  readBy: 'key' | 'version' | 'manifest';
}

export interface Store {
  versioning: 'enabled' | 'suspended' | 'off';
  rules: LifecycleRule[];
  things: Thing[];
}

export const isMidnight = (at: number): boolean => at % DAY === 0;
export const isArchive = (storageClass: string): boolean =>
  ['GLACIER', 'DEEP_ARCHIVE'].includes(storageClass);

/** A version as it was found. */
export function foundThing(facts: AuditFacts, version: AuditedVersion, readBy: Thing['readBy']): Thing {
  return {
    key: facts.repository.prefix + version.key,
    isFound: true,
    hasVersionId: version.versionId !== null,
    sizeBytes: version.sizeBytes,
    writtenAt: version.writtenAt,
    isThere: true,
    noncurrentSince: version.noncurrentSince,
    lockUntil: version.lock?.until ?? 0,
    legalHold: version.legalHold ?? false,
    isArchived: isArchive(version.storageClass),
    readBy,
  };
}

export function isReadable(thing: Thing, at: number): boolean {
  if (!thing.isThere) return false;
  if (thing.noncurrentSince === null || thing.readBy === 'version') return true;
  return thing.readBy === 'manifest' && (thing.legalHold || thing.lockUntil > at);
}

/** A delete marker, by a rule or by the tool: no lock stops it. */
export function remove(store: Store, thing: Thing, at: number): void {
  const keepsVersions =
    store.versioning === 'enabled' || (store.versioning === 'suspended' && thing.hasVersionId);
  if (!keepsVersions) thing.isThere = false;
  else if (thing.noncurrentSince === null) thing.noncurrentSince = at;
}

/** What S3 does at one midnight, to every version and by every rule. */
export function actAtMidnight(store: Store, midnight: number): void {
  const there = store.things.filter(({ isThere, writtenAt }) => isThere && writtenAt < midnight);
  const rulesOf = (thing: Thing) => store.rules.filter((rule) => fits(rule, thing));
  const covered = there.filter(({ noncurrentSince }) => noncurrentSince !== null);
  for (const thing of there) {
    if (thing.noncurrentSince === null) actOnCurrent(store, rulesOf(thing), thing, midnight);
  }
  for (const thing of covered) {
    for (const rule of rulesOf(thing)) actOnNoncurrent(store, rule, thing, midnight);
  }
}

function actOnCurrent(store: Store, rules: LifecycleRule[], thing: Thing, midnight: number): void {
  const isDue = (due: Due) =>
    midnight >= ('date' in due ? Date.parse(due.date) : thing.writtenAt + due.days * DAY);
  if (rules.some(({ expire }) => expire !== null && isDue(expire))) remove(store, thing, midnight);
  else if (
    rules.some(({ transitions }) =>
      transitions.some(({ due, storageClass }) => isDue(due) && isArchive(storageClass)),
    )
  ) {
    thing.isArchived = true;
  }
}

function actOnNoncurrent(store: Store, rule: LifecycleRule, thing: Thing, midnight: number): void {
  const since = thing.noncurrentSince as number;
  for (const { days, storageClass } of rule.noncurrentTransitions) {
    if (midnight >= since + days * DAY && isArchive(storageClass)) thing.isArchived = true;
  }
  const { expireNoncurrent } = rule;
  if (expireNoncurrent === null) return;
  if (expireNoncurrent.keepNewer > 0 && newerOf(store, thing) < expireNoncurrent.keepNewer) return;
  const isLocked = thing.legalHold || thing.lockUntil > midnight;
  if (midnight >= since + expireNoncurrent.days * DAY && !isLocked) thing.isThere = false;
}

/** Versions of the same key that were written later and have left the top, too. */
function newerOf({ things }: Store, { key, isFound, writtenAt }: Thing): number {
  if (!isFound) return 0;
  return things.filter(
    (each) => each.isFound && each.key === key && each.writtenAt > writtenAt && each.noncurrentSince !== null,
  ).length;
}

function fits(rule: LifecycleRule, { key, sizeBytes }: Thing): boolean {
  return (
    rule.enabled &&
    Object.keys(rule.tags).length === 0 &&
    key.startsWith(rule.prefix) &&
    (rule.largerThanBytes === null || sizeBytes > rule.largerThanBytes) &&
    (rule.smallerThanBytes === null || sizeBytes < rule.smallerThanBytes)
  );
}
