import type { LogGap, Manifest, RecoveryInterval } from '../model/backup.ts';
import { consistentAt, usableBases } from './bases.ts';
import {
  gapsOf,
  indexLogs,
  type LogIndex,
  type Recoverability,
  type Stretch,
  stretchesFrom,
} from './chain.ts';
import { lostGaps } from './continuity/gaps.ts';
import { shippedContinuity } from './shipped/continuity.ts';

export interface Continuity {
  intervals: RecoveryInterval[];
  gaps: LogGap[];
  lastRecoverableAt: string | null;
  /** what would be lost now, in whole seconds; null: nothing can be recovered at all */
  rpoSeconds: number | null;
}

/**
 * What can be recovered, proved from what the repository holds. A moment counts only where a base ended before
 * it, every segment since the base's first is archived, and a heartbeat's commit after the moment lies in those
 * segments: recovery to a time fails without a commit after it, and the time at which a segment was archived
 * says nothing about the commits in it.
 */
export function continuityOf(recoverability: Recoverability, now: Date): Continuity {
  const { manifests, shipped } = recoverability;
  const { spans, gaps } =
    shipped === undefined
      ? archivedContinuity(recoverability)
      : shippedContinuity({ bases: usableBases(manifests), shipped });
  const intervals = merge(spans);
  const last = intervals.at(-1)?.to;
  return {
    intervals: intervals.map(({ from, to }) => ({ from: isoTime(from), to: isoTime(to) })),
    gaps,
    lastRecoverableAt: last === undefined ? null : isoTime(last),
    rpoSeconds: last === undefined ? null : Math.max(0, Math.round((now.getTime() - last) / 1_000)),
  };
}

function archivedContinuity(recoverability: Recoverability) {
  const index = indexLogs(recoverability);
  const bases = usableBases(recoverability.manifests);
  const spans = bases.map((manifest) => {
    const from = consistentAt(manifest);
    return { from, to: Math.max(from, lastMoment(manifest, index)) };
  });
  return { spans, gaps: lostGaps(gapsOf(index), bases, index.segmentBytes) };
}

/** The last moment that replaying this stretch proves; -Infinity where there is none. */
export function provenUntil({ heartbeats }: Stretch): number {
  return (heartbeats.at(-1)?.at ?? Number.NEGATIVE_INFINITY) - 1;
}

function lastMoment(manifest: Manifest, index: LogIndex): number {
  return Math.max(Number.NEGATIVE_INFINITY, ...stretchesFrom(manifest, index).map(provenUntil));
}

function merge(spans: { from: number; to: number }[]): { from: number; to: number }[] {
  const merged: { from: number; to: number }[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const before = merged.at(-1);
    if (before !== undefined && span.from <= before.to + 1) before.to = Math.max(before.to, span.to);
    else merged.push({ ...span });
  }
  return merged;
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
