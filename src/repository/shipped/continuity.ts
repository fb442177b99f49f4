import type { LogGap } from '../../model/backup.ts';
import { numberOf } from '../../model/log-position.ts';
import { consistentAt, type LogBase } from '../bases.ts';
import {
  type LogRun,
  newestFirst,
  newestLineage,
  provenUntil,
  runsOf,
  type ShippedStretch,
  stretchFrom,
} from './chain.ts';
import { type ShippedLog, timelineOf } from './name.ts';

/** Spans in milliseconds, not merged, and what is missing: of a database whose logs we ship. */
export function shippedContinuity(known: {
  /** in any order */
  bases: readonly LogBase[];
  shipped: readonly ShippedLog[];
}): { spans: { from: number; to: number }[]; gaps: LogGap[] } {
  const runs = runsOf(known.shipped);
  const stretches = newestFirst(known.bases).map((base) => stretchFrom(base, runs));
  const spans = stretches.map((stretch) => ({
    from: consistentAt(stretch.base),
    to: provenUntil(stretch),
  }));
  return { spans, gaps: gapsOf(runs, stretches) };
}

/** `stretches`: of the newest base first. */
export function gapsOf(runs: readonly LogRun[], stretches: readonly ShippedStretch<LogBase>[]): LogGap[] {
  const holes = runs.flatMap(({ hole }) =>
    hole === null ? [] : [{ ...hole, baseAfter: baseAfter(hole, stretches) }],
  );
  return [...holes, ...baseWithoutLogs(holes, stretches), ...begunAnew(runs, stretches)];
}

/** The first base that needs nothing of a hole, nor of what is before it. */
function baseAfter(hole: LogGap, stretches: readonly ShippedStretch<LogBase>[]): string | null {
  const { before } = hole;
  const behind = stretches.filter(
    (stretch) =>
      before !== null && consistentAt(stretch.base) >= Date.parse(before) && !isSame(stretch.hole, hole),
  );
  return behind.at(-1)?.base.id ?? null;
}

const isSame = (a: LogGap | null, b: LogGap): boolean =>
  a?.timeline === b.timeline && a.lastMissing === b.lastMissing;

/** Only of the newest base: older ones outlive their logs by design. */
function baseWithoutLogs(holes: readonly LogGap[], [newest]: readonly ShippedStretch<LogBase>[]): LogGap[] {
  if (newest === undefined || newest.logs.length > 0 || newest.hole === null) return [];
  const { hole } = newest;
  const first = numberOf(hole.firstMissing) ?? 0;
  const isKnown = holes.some(
    (one) =>
      one.timeline === hole.timeline &&
      (numberOf(one.firstMissing) ?? 0) <= first &&
      first <= (numberOf(one.lastMissing) ?? 0),
  );
  return isKnown ? [] : [{ ...hole, baseAfter: null }];
}

/**
 * Logs that no base leads to, where there were bases before: the server was replaced, or counts its logs anew. Nothing is
 * missing by name, and yet no moment in them can be recovered.
 */
function begunAnew(runs: readonly LogRun[], stretches: readonly ShippedStretch<LogBase>[]): LogGap[] {
  const lineage = newestLineage(runs);
  const first = runs.find((run) => run.lineage === lineage)?.logs[0];
  if (lineage === null || first === undefined || stretches.length === 0) return [];
  // Of the newest base it is said above what is missing.
  const isReached = stretches.some(
    ({ isOpen, logs, lineage: own }, at) => isOpen || (own === lineage && (at === 0 || logs.length > 0)),
  );
  if (isReached) return [];
  const earlier = runs.filter((run) => run.lineage !== lineage);
  const before = earlier.flatMap(({ logs }) => logs.map(({ lastAt }) => lastAt)).toSorted();
  return [
    {
      timeline: timelineOf(lineage),
      ...{ firstMissing: first.name, lastMissing: first.name, count: 0 },
      ...{ after: before.at(-1) ?? null, before: first.createdAt, baseAfter: null },
    },
  ];
}
