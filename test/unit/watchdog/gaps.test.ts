import { describe, expect, test } from 'vitest';
import type { LogGap } from '../../../src/model/backup.ts';
import { developmentOf } from '../../../src/model/problem.ts';
import { findGaps } from '../../../src/watchdog/gaps.ts';

const now = new Date('2026-01-31T12:00:00Z');
const gap: LogGap = {
  ...{ timeline: 1, firstMissing: '000000010000000000000005', lastMissing: '000000010000000000000006' },
  ...{ count: 2, after: '2026-01-31T11:00:00Z', before: '2026-01-31T11:50:00Z', baseAfter: null },
};
const KEY = 'gap/shop/000000010000000000000005-000000010000000000000006';
const look = (changes: Partial<LogGap> = {}, options: Partial<Parameters<typeof findGaps>[1]> = {}) =>
  findGaps(
    { database: 'shop', gaps: [{ ...gap, ...changes }] },
    { inFlight: [], looks: {}, settleMs: 120_000, now, ...options },
  );

describe('a gap in the whole listing', () => {
  test('is nothing yet at the first look, something to be done about at the second, and a problem from then on', () => {
    const first = look();
    expect(first).toEqual({ problems: [], confirmed: [], looks: { [KEY]: 1 } });
    const second = look({}, { looks: first.looks });
    expect(second.confirmed).toEqual([{ database: 'shop', gap }]);
    expect(second.problems).toMatchObject([{ key: KEY, severity: 'critical', since: gap.before }]);
    const third = look({}, { looks: second.looks });
    expect([third.confirmed, third.problems.length]).toEqual([[], 1]);
  });

  test('counts at once where nobody looks again', () => {
    expect(look({}, { looks: null }).problems).toHaveLength(1);
  });

  test('is none while it may be under way', () => {
    expect(look({ before: '2026-01-31T11:59:00Z' }, { looks: null }).looks).toEqual({});
    const inFlight = [{ ...gap, firstMissing: gap.lastMissing, count: 1 }];
    expect(look({}, { looks: null, inFlight }).looks).toEqual({});
    expect(look({}, { looks: null, inFlight: [{ ...gap, timeline: 2 }] }).problems).toHaveLength(1);
  });

  test('is no problem once somebody knows, or a base stands behind it, of which people hear all the same', () => {
    const acknowledged = { by: 'ana', at: '2026-01-31T11:55:00Z', reason: 'INC-42' };
    expect(look({ acknowledged }, { looks: null })).toEqual({ problems: [], confirmed: [], looks: {} });
    const covered = look({ baseAfter: '20260131-115500F' }, { looks: { [KEY]: 1 } });
    expect([covered.problems, covered.confirmed.length]).toEqual([[], 1]);
  });
});

test('what was seen goes on to the next look, and the problem is told by whoever found it alone', () => {
  const { problems, looks } = look({}, { looks: { [KEY]: 1 } });
  const found = { problems, more: 0, unread: [], gapLooks: looks };
  const { report, due } = developmentOf(null, found, now.toISOString());
  expect(report.gapLooks).toEqual({ [KEY]: 2 });
  expect(due).toEqual([]);
});
