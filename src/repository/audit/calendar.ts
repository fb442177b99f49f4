export const DAY_MS = 86_400_000;

/** A span of time in milliseconds, without its end. */
export interface Span {
  from: number;
  to: number;
}

/** The days that the audit plays: day 0 begins now, every other one at midnight UTC. */
export interface Horizon {
  now: number;
  /** the midnight that day 0 began with */
  midnight: number;
  days: number;
  /** the midnight after the last day */
  end: number;
  /** of each day */
  names: string[];
}

export function horizonFrom(now: number, days: number): Horizon {
  const midnight = Math.floor(now / DAY_MS) * DAY_MS;
  const names = Array.from({ length: days }, (_, day) => dayOf(midnight + day * DAY_MS));
  return { now, midnight, days, end: midnight + days * DAY_MS, names };
}

/** The first midnight at or after a moment: S3 rounds up. */
export const midnightFrom = (at: number): number => Math.ceil(at / DAY_MS) * DAY_MS;
/** The first midnight behind a moment. */
export const midnightAfter = (at: number): number => (Math.floor(at / DAY_MS) + 1) * DAY_MS;

/** `2027-01-14`. */
export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** The days with at least one moment of the span; `to` is behind the last of them. */
export function daysTouched({ now, midnight, days }: Horizon, span: Span): Span {
  if (span.from >= span.to || span.to <= now) return { from: 0, to: 0 };
  return {
    from: Math.max(0, Math.floor((span.from - midnight) / DAY_MS)),
    to: Math.min(days, Math.ceil((span.to - midnight) / DAY_MS)),
  };
}

/** The days that begin within the span; `to` is behind the last of them. */
export function daysBegun({ now, midnight, days }: Horizon, span: Span): Span {
  if (span.from >= span.to || span.to <= now) return { from: 0, to: 0 };
  return {
    from: span.from <= now ? 0 : Math.ceil((span.from - midnight) / DAY_MS),
    to: Math.max(1, Math.min(days, Math.ceil((span.to - midnight) / DAY_MS))),
  };
}

/** The same time, in spans that neither touch nor overlap, in order. */
export function union(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    if (from >= to) continue;
    const last = joined.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else joined.push({ from, to });
  }
  return joined;
}

/** What of `within` none of the spans covers. */
export function uncovered(within: Span, spans: readonly Span[]): Span[] {
  const holes: Span[] = [];
  let reached = within.from;
  for (const { from, to } of union(spans)) {
    if (from >= within.to) break;
    if (from > reached) holes.push({ from: reached, to: from });
    reached = Math.max(reached, to);
  }
  if (reached < within.to) holes.push({ from: reached, to: within.to });
  return holes;
}
