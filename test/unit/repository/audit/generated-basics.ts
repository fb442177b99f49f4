import fc from 'fast-check';

export const DAY = 86_400_000;
export const HOUR = 3_600_000;

/** Moments on and around midnights and the ends of months, where off-by-one errors live. */
export const moments: fc.Arbitrary<number> = fc
  .record({
    day: fc.oneof(
      fc.integer({ min: 0, max: 400 }),
      fc.constantFrom(Date.UTC(2027, 0, 1), Date.UTC(2027, 1, 28), Date.UTC(2026, 11, 31)).map(dayOf),
    ),
    offset: fc.oneof(
      fc.constantFrom(0, 1, DAY - 1, 18 * HOUR, 12 * HOUR),
      fc.integer({ min: 0, max: DAY - 1 }),
    ),
  })
  .map(({ day, offset }) => Date.UTC(2026, 5, 1) + day * DAY + offset);

function dayOf(at: number): number {
  return (at - Date.UTC(2026, 5, 1)) / DAY;
}

/** Small ones often, so that two fall on the same moment now and then. */
export const days = (max: number): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max }));
/** One in so many is set, the rest are null. */
export function sometimes<T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}
