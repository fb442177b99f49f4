import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CronFields, formatCron, largestGapMs, parseCron } from '../../../src/model/cron.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test.each([
  ['0 2 * * *', DAY],
  ['0 2,14 * * *', 12 * HOUR],
  ['30 3 * * SUN', 7 * DAY],
  ['0 3 * * 1-5', 3 * DAY],
  ['*/20 * * * *', HOUR / 3],
  ['50 23,0 * * *', 23 * HOUR],
  ['0 0 1 * *', 31 * DAY],
  ['0 0 1 JAN,JUL *', 184 * DAY],
  ['0 0 1 1 *', 365 * DAY],
  // Temporal wants the day of the month and the weekday to match, not one of them.
  ['0 0 1-7 * 1', 35 * DAY],
])('%s has runs at most so far apart', (cron, gap) => {
  expect(largestGapMs([cron])).toBe(gap);
});

test('several expressions count together', () => {
  expect(largestGapMs(['0 20 * * 0', '0 20 * * 1-6'])).toBe(DAY);
  expect(largestGapMs(['0 20 * * 0', '0 8 * * 1,3,5'])).toBe(60 * HOUR);
});

test('what never fires twice has no gap', () => {
  expect(largestGapMs(['0 0 30 2 *'])).toBeNull();
  expect(largestGapMs(['0 0 29 2 *'])).toBeNull();
});

test.each([
  ['0 25 * * *', '"25" is no hour: 0 to 23 are'],
  ['60 * * * *', '"60" is no minute'],
  ['0 0 0 * *', '"0" is no day of the month'],
  ['0 0 * MAI *', '"MAI" is no month'],
  ['0 0 * * 7', '"7" is no day of the week'],
  ['0 5-3 * * *', '"5-3" is no hour'],
  ['0 */0 * * *', '"*/0" is no hour'],
  ['0 3/2 * * *', '"3/2" is no hour'],
  ['0 2 * *', 'is not a cron expression of five fields'],
  ['@daily', 'is not a cron expression of five fields'],
])('refuses %s', (cron, message) => {
  expect(() => parseCron(cron)).toThrow(message);
});

test('the canonical form means the same times', () => {
  const values = (least: number, most: number) =>
    fc
      .uniqueArray(fc.integer({ min: least, max: most }), { minLength: 1 })
      .map((list) => list.toSorted((a, b) => a - b));
  const fields: fc.Arbitrary<CronFields> = fc.tuple(
    values(0, 59),
    values(0, 23),
    values(1, 31),
    values(1, 12),
    values(0, 6),
  );
  fc.assert(
    fc.property(fields, (each) => {
      expect(parseCron(formatCron(each)).fields).toEqual(each);
    }),
  );
});
