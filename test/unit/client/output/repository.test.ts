import { expect, test } from 'vitest';
import { formatApplied, formatBucketPlan } from '../../../../src/client/view/repository.ts';
import type { AuditFinding } from '../../../../src/model/audit.ts';
import { desiredSettings } from '../../../../src/repository/bucket/desired.ts';
import { difference } from '../../../../src/repository/bucket/difference.ts';
import type { Foreseen } from '../../../../src/repository/bucket/foresee.ts';
import { restorePolicy, writerPolicy } from '../../../../src/repository/bucket/policies.ts';
import type { BucketSettings } from '../../../../src/repository/bucket/settings.ts';
import { lifecycleOf } from '../../../../src/repository/lifecycle/rules.ts';
import { exampleConfig } from '../../config/example.ts';

type Rule = BucketSettings['rules'][number];

const config = exampleConfig();
const desired = desiredSettings(config);

function textOf(is: Partial<BucketSettings>, foreseen: Foreseen | null = null): string {
  const plan = {
    bucket: 'AWS eu-west-1, bucket backups',
    ...difference({ ...desired, ...is }, desired),
    lines: lifecycleOf(config).lines,
    policies: { writer: writerPolicy(config), restore: restorePolicy(config) },
    foreseen,
  };
  return formatBucketPlan(plan, null);
}

test('a bucket that is as it should be: every setting, and that there is nothing to do', () => {
  const text = textOf({});
  expect(text).toMatch(/^ {2}versioning +enabled +as it is$/m);
  expect(text).toMatch(/^ {2}object-lock +COMPLIANCE for \d+ days +as it is$/m);
  expect(text).toContain(`rules and statements that are right: ${desired.rules.length + 2}`);
  expect(text).toMatch(/^ {2}log 7d: kept \d+ days/m);
  expect(text).toMatch(/nothing to do: the bucket is as the configuration wants it$/);
});

test('what differs: settings in the table, rules by what becomes of them, and what is not ours', () => {
  const [first, ...others] = desired.rules as [Rule, ...Rule[]];
  const rules = [
    { ...first, expire: { days: 1 } },
    ...others.slice(1),
    { ...first, id: 'holdfast-gone' },
    { ...first, id: 'theirs', prefix: 'tmp/' },
  ];
  const text = textOf({ versioning: 'suspended', rules });
  expect(text).toMatch(/^ {2}versioning +suspended +enabled$/m);
  expect(text).toMatch(new RegExp(`^ {2}~ ${first.id}: .*after 1 day.* -> .*after \\d+ days`, 'm'));
  expect(text).toMatch(new RegExp(`^ {2}\\+ ${others[0]?.id}: `, 'm'));
  expect(text).toMatch(/^ {2}- holdfast-gone: /m);
  expect(text).toMatch(/not of Holdfast, and kept:\n {2}lifecycle theirs: tmp\//);
  expect(text).toMatch(/4 to change: holdfast repository apply$/);
});

test('what a store lacks is said, and when it cannot be done without', () => {
  const text = textOf({ lacking: ['object-lock', 'public-access-block'] });
  expect(text).toMatch(/^ {2}no Object Lock: .*; the configuration requires it$/m);
  expect(text).toMatch(/^ {2}no block of public access .*let visitors in$/m);
});

test('what the year ahead loses by a plan is told, where somebody asked', () => {
  expect(textOf({})).not.toContain('played forward');
  expect(textOf({}, { brings: [], mends: [] })).toContain('the plan changes nothing in it');
  const lost: AuditFinding = {
    ...{ severity: 'critical', code: 'needed-gone', database: 'shop' },
    ...{ what: 'a base goes', firstDay: '2027-01-14', hint: '' },
  };
  expect(textOf({}, { brings: [lost], mends: [] })).toMatch(
    /what the plan brings:\n {2}critical, shop: from 2027-01-14: a base goes/,
  );
});

test('what was done is counted', () => {
  const change = { aspect: 'versioning', item: null, is: 'off', willBe: 'enabled' } as const;
  expect(formatApplied({ bucket: 'b', changes: [] })).toMatch(/^nothing to do/);
  expect(formatApplied({ bucket: 'b', changes: [change] })).toBe('applied 1 setting to b, and read back');
});
