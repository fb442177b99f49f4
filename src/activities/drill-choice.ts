import type { Manifest, RecoveryInterval } from '../model/backup.ts';
import { DRILLED, type Drilled, type DrillRecord, nextDrilled } from '../model/drill.ts';
import type { Target } from '../model/target.ts';
import { consistentAt, usableBases } from '../repository/bases.ts';
import type { Recoverability } from '../repository/chain.ts';
import { continuityOf } from '../repository/continuity.ts';

/** From 0 to below 1. */
export type Random = () => number;

/** The runbook whose turn it is among those that have backups; null: there is nothing to drill with. */
export function chooseDrilled(
  manifests: readonly Manifest[],
  drills: readonly DrillRecord[],
  /** of the sites that can take the database over */
  takeovers: readonly string[],
): Drilled | null {
  const last = drills.find(({ outcome, runbook }) => outcome !== 'skipped' && runbook !== null);
  return nextDrilled(
    DRILLED.filter(
      (kind) =>
        basesOf(kind, manifests).length > 0 && (kind !== 'fullDisasterRecovery' || takeovers.length > 0),
    ),
    last?.runbook ?? null,
  );
}

/** What a runbook can restore from, newest first. */
export function basesOf(kind: Drilled, manifests: readonly Manifest[]): Manifest[] {
  const bases =
    kind === 'selectiveTableRestore'
      ? manifests.filter(({ tier }) => tier === 'logical')
      : usableBases(manifests);
  return bases.toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
}

/** A random moment that can be recovered to, each as likely as the other, and the newest base before it. */
export function randomMoment(
  known: Recoverability,
  random: Random,
  now: Date,
): { target: Target; base: Manifest } | null {
  const bases = basesOf('pointInTimeRecovery', known.manifests);
  const at = momentIn(continuityOf(known, now).intervals, random);
  const before = at === null ? undefined : bases.find((base) => consistentAt(base) <= at);
  if (at !== null && before !== undefined) {
    return { target: { time: new Date(at).toISOString() }, base: before };
  }
  // Without logs only the backups' own points are left.
  const [newest] = bases;
  return newest === undefined ? null : { target: { backup: newest.id }, base: newest };
}

/** Milliseconds; null where the intervals are points only. */
function momentIn(intervals: readonly RecoveryInterval[], random: Random): number | null {
  const spans = intervals.map(({ from, to }) => ({ from: Date.parse(from), to: Date.parse(to) }));
  const total = spans.reduce((sum, { from, to }) => sum + to - from, 0);
  if (total === 0) return null;
  let left = Math.floor(random() * total);
  for (const { from, to } of spans) {
    if (left < to - from) return from + left;
    left -= to - from;
  }
  return null;
}

/** In random order, without what was taken. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return order;
}
