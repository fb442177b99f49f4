import type { LogGap } from '../../model/backup.ts';
import { consistentAt, type LogBase } from '../bases.ts';
import { type LogRun, provenUntil, runsOf, stretchFrom } from './chain.ts';
import { numberOf, type ShippedLog, timelineOf } from './name.ts';

/** Spans in milliseconds, not merged, and what is missing: of a database whose logs we ship. */
export function shippedContinuity(known: {
  /** newest first */
  bases: readonly LogBase[];
  shipped: readonly ShippedLog[];
}): { spans: { from: number; to: number }[]; gaps: LogGap[] } {
  const { bases } = known;
  const runs = runsOf(known.shipped);
  const spans = bases.map((base) => ({
    from: consistentAt(base),
    to: provenUntil(stretchFrom(base, runs)),
  }));
  return { spans, gaps: [...holesOf(runs, bases), ...anewOf(runs, bases)] };
}

function holesOf(runs: readonly LogRun[], bases: readonly LogBase[]): LogGap[] {
  return runs.flatMap(({ hole }) => (hole === null ? [] : [{ ...hole, baseAfter: baseAfter(hole, bases) }]));
}

/** The first base that needs nothing of a hole, nor of what is before it. */
function baseAfter({ before, lastMissing }: LogGap, bases: readonly LogBase[]): string | null {
  const last = numberOf(lastMissing) ?? 0;
  const behind = bases.filter((base) => {
    const start = numberOf(base.positions.startLog ?? '') ?? 0;
    return before !== null && consistentAt(base) >= Date.parse(before) && start > last;
  });
  return behind.at(-1)?.id ?? null;
}

/**
 * Logs that no base leads to, where there were bases before: the server was replaced, or counts its logs anew. Nothing is
 * missing by name, and yet no moment in them can be recovered.
 */
function anewOf(runs: readonly LogRun[], bases: readonly LogBase[]): LogGap[] {
  const newest = runs.toSorted((a, b) => beginOf(b) - beginOf(a))[0];
  const first = newest?.logs[0];
  if (newest === undefined || first === undefined || bases.length === 0) return [];
  const reached = bases.some((base) => {
    const stretch = stretchFrom(base, runs);
    return stretch.lineage === newest.lineage;
  });
  const earlier = runs.filter(({ lineage }) => lineage !== newest.lineage);
  if (reached || earlier.length === 0) return [];
  const before = earlier.flatMap(({ logs }) => logs.map(({ lastAt }) => lastAt)).toSorted();
  return [
    {
      timeline: timelineOf(newest.lineage),
      ...{ firstMissing: first.name, lastMissing: first.name, count: 0 },
      ...{ after: before.at(-1) ?? null, before: first.createdAt, baseAfter: null },
    },
  ];
}

const beginOf = ({ logs }: LogRun): number => Date.parse(logs[0]?.createdAt ?? '');
