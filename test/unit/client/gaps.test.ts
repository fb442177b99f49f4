import { expect, test } from 'vitest';
import { chooseGaps } from '../../../src/client/gaps.ts';
import { formatGaps } from '../../../src/client/view/gaps.ts';
import type { LogGap } from '../../../src/model/backup.ts';

const gapAt = (number: number, changes: Partial<LogGap> = {}): LogGap => ({
  ...{
    timeline: 1,
    count: 1,
    after: '2026-01-31T11:00:00Z',
    before: '2026-01-31T11:50:00Z',
    baseAfter: null,
  },
  ...{ firstMissing: `00000001000000000000000${number}`, lastMissing: `00000001000000000000000${number}` },
  ...changes,
});
const known = { by: 'ana', at: '2026-01-31T12:00:00Z', reason: 'INC-42' };
const gaps = [gapAt(3), gapAt(5, { acknowledged: known, baseAfter: '20260131-115500F' })];

test('the gap that is named is meant, else every one that nobody has acknowledged', () => {
  expect(chooseGaps('shop', gaps, undefined)).toEqual([gaps[0]]);
  expect(chooseGaps('shop', gaps, '000000010000000000000005..000000010000000000000005')).toEqual([gaps[1]]);
});

test('what is not there is refused with what there is', () => {
  const refusal = (name: string | undefined, of = gaps) => {
    try {
      chooseGaps('shop', of, name);
    } catch (error) {
      return [(error as Error).message, (error as { hint?: string }).hint];
    }
    return [];
  };
  expect(refusal('1..2')).toEqual([
    'shop has no gap 1..2',
    'its gaps are 000000010000000000000003..000000010000000000000003, 000000010000000000000005..000000010000000000000005',
  ]);
  expect(refusal(undefined, gaps.slice(1))[0]).toBe('shop has no gap that nobody has acknowledged');
  expect(refusal(undefined, [])[1]).toBe('it has none at all');
});

test('the list says when, which, and what makes it bearable', () => {
  const text = formatGaps(
    [
      { database: 'shop', gaps },
      { database: 'blog', gaps: [] },
    ],
    null,
  );
  expect(text).toContain('1 missing, between 2026-01-31T11:00:00Z');
  expect(text).toContain('recoverable again from 20260131-115500F on; acknowledged by ana');
  expect(text).not.toContain('blog');
  expect(formatGaps([{ database: 'blog', gaps: [] }], null)).toBe('no log is missing');
});

test('a log of MySQL has no timeline; transactions may be missing without a log', () => {
  const missing = { timeline: 4711, firstMissing: 'binlog.000003', lastMissing: 'binlog.000004', count: 2 };
  const text = formatGaps(
    [{ database: 'shop', gaps: [gapAt(1, missing), gapAt(1, { ...missing, count: 0 })] }],
    null,
  );
  expect(text).not.toContain('timeline');
  expect(text).toContain('2 missing, between 2026-01-31T11:00:00Z');
  expect(text).toContain(': binlog.000003 to binlog.000004');
  expect(text).toMatch(/transactions missing, between .*: right before binlog\.000003/);
});
