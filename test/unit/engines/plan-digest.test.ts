import { describe, expect, test } from 'vitest';
import type { TableComparison } from '../../../src/engines/contract/change.ts';
import { canonicalJson, planDigest } from '../../../src/engines/plan-digest.ts';
import type { Plan } from '../../../src/model/plan.ts';
import { comparisonWith } from '../../comparison.ts';

const change = { table: 'public.t', inserts: 2, updates: 0, deletes: 0, orphans: 0, uniqueClashes: 0 };
const plan: Plan = {
  digest: '',
  summary: 'insert 2 rows',
  backup: '20260101-000000F',
  target: { time: '2026-01-31T14:05:00Z' },
  position: null,
  conflict: 'insert-missing',
  estimateSeconds: 30,
  changes: [change],
  rules: [],
  notices: [],
};
const comparison = comparisonWith(change, 'aa', '/one');

describe('the digest of a plan', () => {
  test('is short enough to be typed, and the same for the same plan made again elsewhere', () => {
    const digest = planDigest(plan, [comparison]);
    expect(digest).toMatch(/^sha256:[0-9a-f]{16}$/);
    const stored: Plan = { ...plan, digest };
    expect(planDigest(stored, [{ ...comparison, keysFolder: '/two' }])).toBe(digest);
  });

  test.each<[string, Partial<Plan>, Partial<TableComparison>]>([
    ['other rows, as many', {}, { rules: comparisonWith(change, 'ab').rules }],
    ['another notice', { notices: ['a table is new'] }, {}],
    ['another backup', { backup: '20260108-000000F' }, {}],
    ['another number', { changes: [{ ...change, orphans: 1 }] }, {}],
    ['another target', { target: { latest: true } }, {}],
  ])('differs for %s', (_, other, rows) => {
    expect(planDigest({ ...plan, ...other }, [{ ...comparison, ...rows }])).not.toBe(
      planDigest(plan, [comparison]),
    );
  });

  test('does not depend on the order of fields', () => {
    expect(canonicalJson({ b: [1, { d: null, c: undefined }], a: 'ü' })).toBe('{"a":"ü","b":[1,{"d":null}]}');
  });
});
