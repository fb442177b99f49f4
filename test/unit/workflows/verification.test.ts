import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareFingerprints } from '../../../src/engines/compare-fingerprints.ts';
import type { Check } from '../../../src/model/evidence.ts';
import { FAILURES, type FailureType, HoldfastError } from '../../../src/model/failure.ts';
import { worstOf } from '../../../src/model/verification.ts';
import { migrated, summed, tried } from '../../../src/workflows/runbook/verification.ts';

const verdict = fc.constantFrom('pass' as const, 'inconclusive' as const, 'fail' as const);
const checks = fc.array(fc.record({ name: fc.string(), verdict, detail: fc.string() }));

test('a sum is pass only where something was looked at and all of it passed; each other check is a reason', () => {
  fc.assert(
    fc.property(checks, (given) => {
      const found = summed(given);
      expect(found.verdict === 'pass').toBe(given.length > 0 && given.every((one) => one.verdict === 'pass'));
      expect(found.verdict === 'fail').toBe(given.some((one) => one.verdict === 'fail'));
      expect(found.reasons).toHaveLength(given.filter((one) => one.verdict !== 'pass').length);
    }),
  );
});

test('the worst verdict does not depend on the order', () => {
  fc.assert(
    fc.property(fc.array(verdict), fc.array(verdict), (one, other) => {
      expect(worstOf([...one, ...other])).toBe(worstOf([...other, ...one]));
      expect(worstOf([worstOf(one), worstOf(other)])).toBe(worstOf([...one, ...other]));
    }),
  );
});

describe('a part that fails', () => {
  const of = async (type: FailureType) =>
    (
      await tried('rows', () => Promise.reject(new HoldfastError(type, 'it failed', { hint: 'mend it' })))
    )[0] as Check;

  test.each(['BackupUnusable', 'ChecksumMismatch', 'CheckFailed', 'LogGap', 'UnknownBackup'] as const)(
    'with %s is a fail of that name, without the hint',
    async (type) => {
      expect(await of(type)).toEqual({ name: 'rows', verdict: 'fail', detail: 'it failed' });
    },
  );

  test('with what an operator can mend says nothing of the backup', async () => {
    const mendable = Object.entries(FAILURES).filter(([, { parks }]) => parks);
    for (const [type] of mendable) expect((await of(type as FailureType)).verdict).toBe('inconclusive');
  });
});

test('a changed schema is said, and no more; one that could not be compared stays open', () => {
  const schema = (detail: string): Check => ({ name: 'schema', verdict: 'inconclusive', detail });
  expect(migrated([schema('production has changed since: x')])).toMatchObject([{ verdict: 'pass' }]);
  expect(migrated([schema('production was not asked: away')])).toMatchObject([{ verdict: 'inconclusive' }]);
});

describe('fingerprints of a whole copy', () => {
  const print = (table: string, rows = 1) => ({ table, rows, checksum: '7' });
  const expected = { tables: [print('a'), print('b')], precision: 'exact' as const };

  test('a table that is missing is a fail, unless the site could not make everything', () => {
    expect(compareFingerprints(expected, [print('a')], { whole: { notices: [] } })).toMatchObject({
      verdict: 'fail',
      detail: 'b is not in the copy',
    });
    const notices = ['extension x is not installed'];
    expect(compareFingerprints(expected, [print('a')], { whole: { notices } })).toMatchObject({
      verdict: 'inconclusive',
      detail: 'b is not in the copy; extension x is not installed',
    });
    expect(compareFingerprints(expected, [print('a', 2)], { whole: { notices } }).verdict).toBe('fail');
  });

  test('of some tables the others are not asked for', () => {
    expect(compareFingerprints(expected, [print('a')]).verdict).toBe('pass');
  });

  test('of rows that were counted at another moment nothing is proved, equal or not', () => {
    const loose = { ...expected, precision: 'bounds' as const };
    for (const rows of [1, 2]) {
      expect(compareFingerprints(loose, [print('a', rows)])).toMatchObject({
        verdict: 'inconclusive',
        detail: expect.stringContaining('another moment'),
      });
    }
  });
});
