import { describe, expect, test } from 'vitest';
import { compareCounts, compareRecent, heartbeatCheck } from '../../../src/activities/verification-checks.ts';
import type { Counts } from '../../../src/engines/contract/read.ts';
import { EPOCH, heartbeat, isoAt, logName } from '../repository/recoverability.ts';

const bounds = { percent: 10, rows: 5 };

/** `{orders: 7}`; null: no such table; a text: an estimate. */
const counts = (tables: Record<string, number | null | string>, recent: (number | null)[] = []): Counts => ({
  tables: Object.entries(tables).map(([table, rows]) => ({
    table,
    rows: rows === null ? null : Number(rows),
    exact: typeof rows !== 'string',
  })),
  recent: recent.map((rows) => ({ table: 'orders', rows })),
});

describe('counts', () => {
  type Case = [string, Parameters<typeof counts>[0], [object, object], boolean, string, RegExp];
  test.each<Case>([
    ['equal', { a: 100 }, [{ a: 100 }, { a: 100 }], false, 'pass', /^1 table, the largest/],
    ['between', { a: 150 }, [{ a: 100 }, { a: 200 }], false, 'pass', /./],
    ['between, shrinking', { a: 150 }, [{ a: 200 }, { a: 100 }], false, 'pass', /./],
    ['beyond by less than the bounds', { a: 90 }, [{ a: 100 }, { a: 100 }], false, 'pass', /./],
    [
      'beyond the bounds',
      { a: 89 },
      [{ a: 100 }, { a: 100 }],
      false,
      'inconclusive',
      /a has 89 rows in the copy/,
    ],
    [
      'empty in the copy',
      { a: 0 },
      [{ a: 100 }, { a: 100 }],
      false,
      'inconclusive',
      /a has 0 rows in the copy/,
    ],
    [
      'a table that the copy has to have',
      { a: 1, b: null },
      [
        { a: 1, b: 1 },
        { a: 1, b: 1 },
      ],
      false,
      'inconclusive',
      /b is not in the copy/,
    ],
    [
      'a table that is younger than the copy',
      { a: 1, b: null },
      [
        { a: 1, b: 1 },
        { a: 1, b: 1 },
      ],
      true,
      'pass',
      /1 table.*; b is not in the copy/,
    ],
    [
      'a table that was dropped meanwhile',
      { a: 1, b: null },
      [
        { a: 1, b: 1 },
        { a: 1, b: null },
      ],
      false,
      'pass',
      /1 table/,
    ],
    [
      'nothing but an estimate',
      { a: 500 },
      [{ a: '1' }, { a: '1' }],
      false,
      'inconclusive',
      /a takes too long to count/,
    ],
    ['no tables at all', {}, [{}, {}], false, 'pass', /0 tables/],
  ])('%s', (_, copy, [before, after], older, verdict, detail) => {
    const found = compareCounts(
      counts(copy),
      [counts(before as Record<string, number>), counts(after as Record<string, number>)],
      { bounds, older },
    );
    expect(found.verdict).toBe(verdict);
    expect(found.detail).toMatch(detail);
  });
});

describe('recent rows', () => {
  test.each<[number | null, number | null, string]>([
    [100, 100, 'pass'],
    [95, 100, 'pass'],
    [50, 100, 'inconclusive'],
    [0, 100, 'fail'],
    // One late commit with an early time is no damage.
    [0, 1, 'inconclusive'],
    [0, 0, 'inconclusive'],
    [null, 100, 'inconclusive'],
    [100, null, 'inconclusive'],
  ])('%s in the copy and %s in production are %s', (copy, production, verdict) => {
    const [found] = compareRecent(counts({}, [copy]), counts({}, [production]), bounds);
    expect(found?.verdict).toBe(verdict);
  });
});

describe('the heartbeat', () => {
  const listed = [heartbeat(15_000), heartbeat(25_000), heartbeat(95_000)];
  const check = (copy: Partial<Parameters<typeof heartbeatCheck>[1]>, heartbeats = listed) =>
    heartbeatCheck(heartbeats, {
      ...{ lastLog: logName(3), timeline: 1, lsn: '0/3000000', rpoMs: 60_000 },
      ...{ now: new Date(EPOCH + 30_000), ...copy },
    });

  test('is the newest that the archived logs hold, and is in the copy', () => {
    expect(check({})).toMatchObject({ verdict: 'pass', detail: expect.stringContaining(isoAt(25_000)) });
  });

  test('that the copy ends before is a fail', () => {
    expect(check({ lsn: '0/2000FFF' })).toMatchObject({
      verdict: 'fail',
      detail: expect.stringMatching(/is not in the copy/),
    });
  });

  test('that was older than the RPO when the logs were listed is a fail, however long the restore took', () => {
    expect(check({ now: new Date(EPOCH + 85_000) })).toMatchObject({ verdict: 'pass' });
    expect(check({ now: new Date(EPOCH + 85_001) })).toMatchObject({
      verdict: 'fail',
      detail: expect.stringMatching(/^stale: .* the RPO is 1m/),
    });
  });

  test.each([
    ['there is none', {}, []],
    ['none is archived', { lastLog: null }, listed],
    ['none is of this timeline', { timeline: 2 }, listed],
  ])('is unknown where %s', (_, copy, heartbeats) => {
    expect(check(copy, heartbeats)).toMatchObject({ verdict: 'inconclusive' });
  });
});
