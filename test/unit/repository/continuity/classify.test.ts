import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Classified,
  classifySegments,
  type LogPlace,
  type Sight,
} from '../../../../src/repository/continuity/classify.ts';

const SETTLE_MS = 100;
const START = { timeline: 1, number: 0 };
const at = (number: number, archivedAt = 0, timeline = 1) => ({ timeline, number, archivedAt });
const look = (sight: Partial<Sight>): Classified =>
  classifySegments({
    ...{ from: START, archived: [], ready: [], before: [], now: 1_000, settleMs: SETTLE_MS },
    ...sight,
  });
const only = ({ timelines }: Classified) => timelines[0];
const HOLE = { timeline: 1, first: 2, last: 3 };

describe('a hole', () => {
  const archived = [at(1), at(4, 900)];

  test('is in flight while what is above it has not settled', () => {
    const seen = look({ archived, before: [HOLE], now: 999 });
    expect(only(seen)).toMatchObject({ archivedUpTo: 1, inFlight: [HOLE], lost: [] });
    expect(seen.seenUpTo).toEqual({ timeline: 1, number: 1 });
  });

  test('is in flight at the first look, however old', () => {
    const first = look({ archived, now: 100_000 });
    expect(only(first)).toMatchObject({ inFlight: [HOLE], lost: [] });
    expect(first.holes).toEqual([HOLE]);
    const second = look({ archived, now: 100_001, before: first.holes });
    expect(only(second)).toMatchObject({ archivedUpTo: 1, inFlight: [], lost: [{ ...HOLE, since: 900 }] });
    expect(second.seenUpTo).toEqual({ timeline: 1, number: 4 });
  });

  test('is in flight as long as the server has a part of it', () => {
    const ready = [{ timeline: 1, number: 3 }];
    expect(only(look({ archived, before: [HOLE], now: 100_000, ready }))).toMatchObject({
      inFlight: [HOLE],
      lost: [],
    });
    expect(only(look({ archived, before: [HOLE], now: 100_000, ready: null }))?.lost).toEqual([]);
  });

  test('that changed since the last look is looked at once more', () => {
    const seen = look({ archived: [at(1), at(3), at(5)], before: [HOLE], now: 100_000 });
    expect(only(seen)?.lost).toEqual([]);
  });
});

test('what waits on the server behind everything archived is in flight, and no hole', () => {
  const ready = [2, 3, 5].map((number) => ({ timeline: 1, number }));
  const seen = look({ archived: [at(1)], ready });
  expect(only(seen)?.inFlight).toEqual([
    { timeline: 1, first: 2, last: 3 },
    { timeline: 1, first: 5, last: 5 },
  ]);
  expect(seen.holes).toEqual([]);
});

test('a later timeline goes on where it was branched off; what is missing before it is of the older one', () => {
  const branched = look({ archived: [at(1), at(2), at(2, 0, 2), at(3, 0, 2)] });
  expect(branched.timelines.map(({ archivedUpTo }) => archivedUpTo)).toEqual([2, 3]);
  expect(branched.seenUpTo).toEqual({ timeline: 2, number: 3 });
  const torn = look({ archived: [at(1), at(4, 0, 2)] });
  expect(torn.holes).toEqual([HOLE]);
  expect(torn.seenUpTo).toEqual({ timeline: 1, number: 1 });
});

/** An archiver that pushes many logs at once, in any order; some are lost on their way. */
const archivers = fc
  .array(fc.record({ delay: fc.integer({ min: 0, max: SETTLE_MS - 1 }), isLost: fc.boolean() }), {
    minLength: 2,
    maxLength: 30,
  })
  .map((logs) => logs.map((log, index) => ({ ...log, number: index + 1, ready: index * 20 })));

test('nothing is ever lost while it is under way, and all of what is lost is said after it has settled', () => {
  fc.assert(
    fc.property(archivers, fc.integer({ min: 1, max: 60 }), (logs, everyMs) => {
      const end = (logs.at(-1)?.ready ?? 0) + 4 * SETTLE_MS + 4 * everyMs;
      let from: LogPlace = START;
      let before: Sight['before'] = [];
      const said = new Set<number>();
      for (let now = 0; now <= end; now += everyMs) {
        const archived = logs
          .filter(
            ({ ready, delay, isLost, number }) => !isLost && ready + delay <= now && number > from.number,
          )
          .map(({ number, ready, delay }) => at(number, ready + delay));
        // The server forgets what its archiver has said is done, before it can be seen in the listing.
        const waiting = logs.filter(
          ({ ready, delay, isLost }) => !isLost && ready <= now && now < ready + delay / 2,
        );
        const ready = waiting.map(({ number }) => ({ timeline: 1, number }));
        const seen = classifySegments({ from, archived, ready, before, now, settleMs: SETTLE_MS });
        for (const { first, last } of seen.timelines.flatMap(({ lost }) => lost)) {
          for (let number = first; number <= last; number += 1) {
            expect(logs[number - 1]?.isLost).toBe(true);
            said.add(number);
          }
        }
        from = seen.seenUpTo;
        before = seen.holes;
      }
      const newest = logs.findLast(({ isLost }) => !isLost)?.number ?? 0;
      const expected = logs.filter(({ isLost, number }) => isLost && number < newest);
      expect([...said].sort((a, b) => a - b)).toEqual(expected.map(({ number }) => number));
      expect(from.number).toBe(newest);
    }),
    { numRuns: 1_000 },
  );
});
