import type { AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { begin, type Held, makeDue, makeLogs, type Walked } from './model-database.ts';
import { broken, type Code, counted, isWindowKept, oldestReplayable } from './model-promises.ts';
import { dueBetween } from './model-schedule.ts';
import { actAtMidnight, DAY, foundThing, isMidnight, type Store } from './model-store.ts';
import { lookAtToolFiles } from './model-tool-files.ts';

export interface SeenDay {
  state: 'kept' | 'archived' | 'broken';
  windowFrom: number | null;
  fulls: number;
  differentials: number;
  logicals: number;
  snapshots: number;
}
export interface Seen {
  /** the first instant of each kind of trouble */
  first: Partial<Record<Code, number>>;
  days: SeenDay[];
}

/**
 * The audit, slow and obvious: every version of every object is held, and the walk stops at every instant at which
 * anything may change. It knows nothing of the code that it is compared with.
 */
export function walk(facts: AuditFacts, horizonDays: number): Map<string, Seen> {
  const { now, bucket, rules } = facts;
  const databases = facts.databases.map((database) => begin(facts, database));
  const store: Store = {
    versioning: bucket.versioning,
    rules,
    things: [
      ...databases.flatMap(({ held, toolFiles: { archiveInfo, backupInfo } }) => [
        ...held.flatMap(({ things }) => things),
        ...archiveInfo.files,
        ...backupInfo.files,
      ]),
      ...facts.orphans.flatMap(({ versions }) =>
        versions.map((version) => foundThing(facts, version, 'key')),
      ),
    ],
  };
  const seen = new Map<string, Seen>(facts.databases.map(({ name }) => [name, { first: {}, days: [] }]));
  const today = Math.floor(now / DAY);
  for (const { toolFiles } of databases) lookAtToolFiles(toolFiles, now);
  for (const at of instantsOf(facts, horizonDays)) {
    if (at > now) {
      if (isMidnight(at)) {
        for (const walked of databases) makeLogs(facts, store, walked, at);
        actAtMidnight(store, at);
      }
      for (const { toolFiles } of databases) lookAtToolFiles(toolFiles, at);
      for (const walked of databases) makeDue(facts, store, walked, at);
    }
    for (const walked of databases) {
      look(walked, seen.get(walked.facts.name) as Seen, at, now, Math.floor(at / DAY) - today);
    }
  }
  return seen;
}

function look(walked: Walked, seen: Seen, at: number, now: number, day: number): void {
  const troubles = broken(walked, at, now);
  for (const code of troubles.codes) seen.first[code] ??= at;
  seen.days[day] ??= dayAt(walked, at, now);
  if (troubles.isBroken) seen.days[day].state = 'broken';
}

function dayAt(walked: Walked, at: number, now: number): SeenDay {
  const backups = walked.held.filter((held) => held.kind !== 'logs' && counted(held, walked, at));
  const count = (kind: string) => backups.filter((held) => held.kind === kind).length;
  return {
    state: needsThaw(walked, backups, at, now) ? 'archived' : 'kept',
    windowFrom: oldestReplayable(walked, at, now),
    fulls: count('full'),
    differentials: count('diff'),
    logicals: count('logical'),
    snapshots: count('snapshot'),
  };
}

/** Without what lies in an archive class the window would not be kept, or nothing at all could be restored. */
function needsThaw(walked: Walked, backups: Held[], at: number, now: number): boolean {
  const atHand = new Set(walked.held.filter(({ things }) => !things.some(({ isArchived }) => isArchived)));
  if (walked.facts.policy.windowMs !== null) return !isWindowKept(walked, at, now, atHand);
  const isAtHand = (held: Held) => [held, ...held.needs].every((each) => atHand.has(each));
  return backups.length > 0 && !backups.some(isAtHand);
}

/** Every instant at which anything may change: some more do no harm. */
function instantsOf(facts: AuditFacts, horizonDays: number): number[] {
  const { now, databases, bucket } = facts;
  const today = Math.floor(now / DAY) * DAY;
  const end = today + horizonDays * DAY;
  const instants = new Set<number>([now]);
  for (let midnight = today + DAY; midnight < end; midnight += DAY) instants.add(midnight);
  const defaultLock = (bucket.objectLock?.retention?.days ?? 0) * DAY;
  for (const database of databases) {
    const { policy, nodes } = database;
    const { windowMs, logicalMs, physicalMs, snapshotMs, shippedLockMs = 0 } = policy;
    const made = dueBetween(now, database, today, end);
    for (const finishedAt of [...made, ...nodes.map((node) => node.finishedAt)]) {
      const kept = [0, windowMs ?? 0, logicalMs, physicalMs, snapshotMs, shippedLockMs, defaultLock];
      for (const later of kept) instants.add(finishedAt + later);
    }
    for (const { lock } of nodes.flatMap(({ versions }) => versions)) instants.add(lock?.until ?? now);
  }
  return [...instants].filter((at) => at >= now && at < end).sort((a, b) => a - b);
}
