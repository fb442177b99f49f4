import { describe, expect, test } from 'vitest';
import { timesOf } from '../../../src/activities/ship-log.ts';
import { waitingLogs } from '../../../src/activities/shipping.ts';
import { runsOf } from '../../../src/repository/shipped/chain.ts';
import { logName, tenSeconds } from '../repository/shipped/shop.ts';

const closed = (numbers: readonly number[]) => ({
  closed: numbers.map((number) => ({ name: logName(number), sizeBytes: 1 })),
});
const known = (numbers: readonly number[], isAnew = false) => ({ runs: runsOf(tenSeconds(numbers)), isAnew });
const numbersOf = (logs: readonly { name: string }[]) => logs.map(({ name }) => Number(name.split('.')[1]));

describe('what waits to be shipped', () => {
  test('is what is closed and not there, oldest first, lost ones too', () => {
    expect(numbersOf(waitingLogs(closed([3, 4, 5, 6, 7]), known([3, 4, 6]), null))).toEqual([5, 7]);
  });

  test('is nothing from before the history, which lifecycle rules may have removed', () => {
    expect(numbersOf(waitingLogs(closed([1, 2, 3, 4]), known([3]), logName(3)))).toEqual([4]);
  });

  test('begins with the newest closed log where there is neither a base nor a log', () => {
    expect(numbersOf(waitingLogs(closed([1, 2, 3]), known([]), null))).toEqual([3]);
    expect(waitingLogs(closed([]), known([]), null)).toEqual([]);
  });

  test('begins with the log of the newest base, also where a dump took longer than the first log', () => {
    expect(numbersOf(waitingLogs(closed([1, 2, 3, 4]), known([]), logName(2)))).toEqual([2, 3, 4]);
    expect(numbersOf(waitingLogs(closed([1, 2, 3, 4]), known([4]), logName(2)))).toEqual([2, 3]);
  });

  test('is everything of a server that counts anew', () => {
    expect(numbersOf(waitingLogs(closed([1, 2]), known([], true), logName(9)))).toEqual([1, 2]);
  });

  test('is in the order of numbers, not of names', () => {
    const all = closed([999_998, 999_999, 1_000_000]);
    expect(numbersOf(waitingLogs(all, known([999_998]), null))).toEqual([999_999, 1_000_000]);
  });

  test('is nothing that has no number', () => {
    const odd = { closed: [{ name: 'binlog.index', sizeBytes: 1 }] };
    expect(waitingLogs(odd, known([], true), null)).toEqual([]);
  });
});

describe('when a log was begun and ended, whatever a session had set as its time', () => {
  const at = '2026-01-31T12:00:00.500Z';
  const after = '2026-01-31T11:50:00.000Z';
  const [begun, ended] = ['2026-01-31T11:50:01.000Z', '2026-01-31T11:55:00.000Z'];
  const times = (
    facts: Partial<Parameters<typeof timesOf>[0]>,
    place: { after: string | null } = { after },
  ) => timesOf({ createdAt: begun, lastAt: ended, committedAt: null, ...facts }, { ...place, at });

  test('an honest log is taken at its word', () => {
    expect(times({})).toEqual({ createdAt: begun, lastAt: ended });
    expect(times({ committedAt: '2026-01-31T11:54:00.000Z' })).toEqual({ createdAt: begun, lastAt: ended });
  });

  test('an end in the past is as late as the latest commit, or the beginning', () => {
    const lastAt = '1999-01-01T00:00:00.000Z';
    const committedAt = '2026-01-31T11:54:00.123Z';
    expect(times({ lastAt, committedAt })).toEqual({ createdAt: begun, lastAt: '2026-01-31T11:54:00.000Z' });
    expect(times({ lastAt })).toEqual({ createdAt: begun, lastAt: begun });
  });

  test('an end in the future proves no more than what is sure', () => {
    const lastAt = '2033-05-18T03:33:20.000Z';
    expect(times({ lastAt, committedAt: '2026-01-31T11:54:00.000Z' }).lastAt).toBe(
      '2026-01-31T11:54:00.000Z',
    );
    expect(times({ lastAt, committedAt: lastAt }).lastAt).toBe(begun);
  });

  test('a beginning is never before the end of the log before, nor in the future', () => {
    expect(times({ createdAt: '1999-01-01T00:00:00.000Z' }).createdAt).toBe(after);
    const createdAt = '2033-05-18T03:33:20.000Z';
    expect(times({ createdAt })).toEqual({ createdAt: after, lastAt: ended });
    expect(times({ createdAt }, { after: null })).toEqual({ createdAt: ended, lastAt: ended });
    expect(times({ createdAt, lastAt: createdAt }, { after: null }).lastAt).toBe('2026-01-31T12:00:00.000Z');
  });
});
