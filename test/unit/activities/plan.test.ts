import { expect, test } from 'vitest';
import { planOf, undoPlanOf } from '../../../src/activities/plan.ts';
import type { CompareStepInput } from '../../../src/activities/recovery-types.ts';
import type { ImportRecord } from '../../../src/engines/contract/change.ts';
import { comparisonWith } from '../../comparison.ts';

const INPUT = {
  database: 'shop',
  base: { backup: '20260131-020000F', notices: ['there are large objects'] },
  target: { latest: true },
  replayed: { position: 'end of the logs', logNotices: ['in 2 of 9 replayed logs: statements'] },
  conflict: 'insert-missing',
  doubts: [{ name: 'integrity', verdict: 'inconclusive', detail: 'amcheck is not installed' }],
} as unknown as CompareStepInput;

const found = (counts: object) =>
  comparisonWith({
    table: 'public.orders',
    inserts: 0,
    updates: 0,
    deletes: 0,
    orphans: 0,
    uniqueClashes: 0,
    ...counts,
  });

test('says what a person has to know: of the backup, of the checks, and that nothing is missing', () => {
  const empty = planOf(INPUT, [found({})]);
  expect(empty.summary).toBe('change nothing of shop');
  expect(empty.notices).toEqual([
    expect.stringMatching(/^nothing is missing: .* recover to a moment before that$/),
    'there are large objects',
    'in 2 of 9 replayed logs: statements',
    'integrity is inconclusive: amcheck is not installed',
  ]);
});

test('rows that cannot come back are not called nothing', () => {
  for (const counts of [{ inserts: 1 }, { orphans: 1 }, { uniqueClashes: 1 }]) {
    expect(planOf(INPUT, [found(counts)]).notices[0]).toBe('there are large objects');
  }
});

test('a rule that cannot be chosen is not called nothing, and the ones that can are named', () => {
  const comparison = found({});
  const rules = comparison.rules.map((rule) => ({
    ...rule,
    refusal: rule.conflict === 'insert-missing' ? 'public.orders has no key' : null,
  }));
  expect(planOf(INPUT, [{ ...comparison, rules }]).notices[0]).toBe(
    'insert-missing cannot be chosen: public.orders has no key. An approval has to name another rule: restore-changed or replace or side-by-side',
  );
});

test('where no rule can be chosen nobody is asked to name one', () => {
  const comparison = found({});
  const rules = comparison.rules.map((rule) => ({ ...rule, refusal: 'the user may not delete' }));
  expect(planOf(INPUT, [{ ...comparison, rules }]).notices[0]).toBe(
    'insert-missing cannot be chosen: the user may not delete. Nor can any other rule: reject this plan, mend that, and start again',
  );
});

test('the plan of an undo says which import, and shows both rules', () => {
  const change = (deletes: number, orphans: number) => ({
    ...{ table: 'public.orders', inserts: 0, updates: 0, deletes, orphans, uniqueClashes: 0 },
  });
  const rules = (['keep-changed', 'overwrite-changed'] as const).map((conflict, index) => ({
    ...{ conflict, change: change(20 + 5 * index, 1), keysSha256: 'x', refusal: null },
    notices: [`${conflict} leaves something`],
  }));
  const comparison = {
    table: 'public.orders',
    rules,
    keysFolder: '',
    notices: ['5 rows have changed since'],
  };
  const record = { transaction: '790' } as ImportRecord;
  const input = { database: 'shop', import: 'pitr/shop/1', conflict: 'keep-changed' as const, record };
  expect(undoPlanOf(input, [comparison])).toMatchObject({
    summary: 'delete 20 rows in 1 table of shop; 1 row left alone',
    position: 'the import of pitr/shop/1 in transaction 790',
    backup: null,
    rules: [{ conflict: 'keep-changed' }, { conflict: 'overwrite-changed', changes: [{ deletes: 25 }] }],
    notices: ['5 rows have changed since', 'keep-changed leaves something'],
  });
});
