const HOUR = 3_600_000;

/**
 * How old what is made by a schedule may become before it counts as missing: the longest time between two, and a
 * quarter of it, an hour at least, for a run that takes long or is caught up with.
 */
export function overdueAfterMs(gapMs: number): number {
  return gapMs + Math.max(HOUR, gapMs / 4);
}
