import type { LogGap, Manifest } from '../../model/backup.ts';
import { numberOf } from '../chain.ts';

/**
 * Gaps that somebody lost. What lies between old bases the tool has expired itself: of all but the newest two fulls it keeps
 * the logs that each base needs to become consistent, and no others.
 */
export function lostGaps(
  gaps: readonly LogGap[],
  bases: readonly Manifest[],
  segmentBytes: number,
): LogGap[] {
  const places = bases.flatMap((base) => {
    const place = placeOf(base, segmentBytes);
    return place === null ? [] : [place];
  });
  const fulls = places.filter(({ kind }) => kind === 'full');
  return gaps.flatMap((gap) => {
    const first = numberOf(gap.firstMissing, segmentBytes) ?? 0;
    const last = numberOf(gap.lastMissing, segmentBytes) ?? 0;
    const isExpired =
      places.some(({ timeline, stop }) => timeline <= gap.timeline && stop === first - 1) &&
      places.some(({ start }) => start === last + 1) &&
      fulls.filter(({ timeline, start }) => timeline >= gap.timeline && start > last).length > 1;
    return isExpired ? [] : [{ ...gap, baseAfter: baseAfter(gap, places, last) }];
  });
}

interface Place {
  id: string;
  kind: Manifest['kind'];
  timeline: number;
  start: number;
  stop: number;
  startedAt: number;
  finishedAt: number;
}

function placeOf(
  { id, kind, positions, startedAt, finishedAt }: Manifest,
  segmentBytes: number,
): Place | null {
  const { startLog, stopLog } = positions;
  const start = startLog === null ? null : numberOf(startLog, segmentBytes);
  const stop = stopLog === null ? null : numberOf(stopLog, segmentBytes);
  if (startLog === null || start === null || stop === null) return null;
  return {
    ...{ id, kind, start, stop, timeline: Number.parseInt(startLog.slice(0, 8), 16) },
    ...{ startedAt: Date.parse(startedAt), finishedAt: Date.parse(finishedAt) },
  };
}

/** The first base that begins behind the gap: by its logs, or, in another incarnation, by the time. */
function baseAfter(
  { timeline, after, before }: LogGap,
  places: readonly Place[],
  last: number,
): string | null {
  const behind = places.filter((place) => {
    const isLater = after === null || place.finishedAt >= Date.parse(after);
    const isBehind = isLater && place.timeline >= timeline && place.start > last;
    return isBehind || (before !== null && place.startedAt >= Date.parse(before));
  });
  return behind.toSorted((a, b) => a.finishedAt - b.finishedAt)[0]?.id ?? null;
}
