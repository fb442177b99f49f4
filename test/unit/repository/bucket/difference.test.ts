import { expect, test } from 'vitest';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import { desiredSettings } from '../../../../src/repository/bucket/desired.ts';
import { difference } from '../../../../src/repository/bucket/difference.ts';
import type { BucketSettings } from '../../../../src/repository/bucket/settings.ts';
import { exampleConfig } from '../../config/example.ts';

const config = exampleConfig();
config.repository = { ...config.repository, kmsKeyId: 'arn:aws:kms:eu-west-1:111122223333:key/1234' };
const desired = desiredSettings(config);
const days = desired.objectLock?.retention?.days as number;
const [first] = desired.rules as [LifecycleRule, ...LifecycleRule[]];
const changesOf = (is: Partial<BucketSettings>) => difference({ ...desired, ...is }, desired).changes;

test('a bucket that is as it has to be needs nothing', () => {
  const { right, ...nothing } = difference(desired, desired);
  expect(nothing).toEqual({ changes: [], kept: [], lacking: [] });
  expect(right.filter(({ item }) => item === null).map(({ aspect, is }) => `${aspect} ${is}`)).toEqual([
    ...['versioning enabled', `object-lock COMPLIANCE for ${days} days`],
    'encryption aws:kms, key arn:aws:kms:eu-west-1:111122223333:key/1234',
    'public-access-block blocked',
  ]);
});

test('an empty bucket needs everything', () => {
  const changes = changesOf({
    ...{ versioning: 'off', objectLock: null, encryption: null, publicAccessBlocked: false },
    ...{ policy: null, rules: [] },
  });
  expect(changes.filter(({ item }) => item === null)).toEqual([
    { aspect: 'versioning', item: null, is: 'off', willBe: 'enabled' },
    { aspect: 'object-lock', item: null, is: 'no Object Lock', willBe: `COMPLIANCE for ${days} days` },
    {
      ...{ aspect: 'encryption', item: null, is: 'none' },
      willBe: 'aws:kms, key arn:aws:kms:eu-west-1:111122223333:key/1234',
    },
    { aspect: 'public-access-block', item: null, is: 'not blocked', willBe: 'blocked' },
  ]);
  expect(changes.filter(({ aspect }) => aspect === 'lifecycle')).toHaveLength(desired.rules.length);
  expect(changes.filter(({ aspect }) => aspect === 'policy').map(({ item }) => item)).toEqual([
    ...['holdfastTlsOnly', 'holdfastNoKeyOfTheirs', 'holdfastKmsOnly', 'holdfastOneKeyOnly'],
  ]);
});

test('what the configuration does not speak of stays', () => {
  const silent = { ...desired, objectLock: null, encryption: null };
  expect(difference(desired, silent).changes).toEqual([]);
});

test('a key is the same by its id and by its ARN; another is not, nor one without a bucket key', () => {
  const encryption = { algorithm: 'aws:kms', kmsKeyId: '1234', bucketKey: true };
  expect(changesOf({ encryption })).toEqual([]);
  expect(changesOf({ encryption: { algorithm: 'aws:kms', kmsKeyId: '1234' } })).toEqual([]);
  expect(changesOf({ encryption: { ...encryption, bucketKey: false } })[0]?.is).toBe(
    'aws:kms, key 1234, without a bucket key',
  );
  expect(changesOf({ encryption: { ...encryption, kmsKeyId: '5678' } })).toHaveLength(1);
  expect(changesOf({ encryption: { algorithm: 'AES256', kmsKeyId: null } })[0]?.is).toBe('AES256');
});

test.each([
  ['COMPLIANCE', 1, ''],
  ['COMPLIANCE', 1_000, ' (of new objects: what is locked stays so)'],
  ['GOVERNANCE', 1, ''],
] as const)('a default of %s for %i days', (mode, held, note) => {
  const [change] = changesOf({ objectLock: { retention: { mode, days: held } } });
  expect(change?.willBe).toBe(`COMPLIANCE for ${days} days${note}`);
});

test('rules and statements of others are kept and named; ours that are wanted no more go', () => {
  const foreign = { ...first, id: 'cleanup', prefix: 'tmp/', expire: { days: 3 } };
  const statement = {
    ...{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 's3:GetObject' },
    Resource: 'arn:aws:s3:::backups/*',
  };
  const policy = { ...desired.policy, Statement: [statement, ...statementsOf(desired)] };
  const rules = [...desired.rules, foreign, { ...first, id: 'holdfast-log-gone' }];
  const { changes, kept } = difference({ ...desired, rules, policy }, desired);
  expect(kept).toEqual([
    { aspect: 'policy', item: '', what: 'Allow s3:GetObject to arn:aws:iam::111122223333:root' },
    {
      ...{ aspect: 'lifecycle', item: 'cleanup' },
      what: 'tmp/: expires after 3 days; older versions go after 1 day',
    },
  ]);
  expect(changes).toMatchObject([{ item: 'holdfast-log-gone', willBe: 'none' }]);
});

test('a statement is the same in any order, and with single names in or out of a list', () => {
  const turned = statementsOf(desired)
    .toReversed()
    .map((one) => ({
      ...Object.fromEntries(Object.entries(one).toReversed()),
      Principal: { AWS: ['*'] },
      Action: one.Action[0],
      Resource: one.Resource.toReversed(),
    }));
  expect(changesOf({ policy: { Version: '2012-10-17', Statement: turned } })).toEqual([]);
});

test('a rule of ours that somebody changed is set back', () => {
  const rules = desired.rules.map((rule) => (rule === first ? { ...rule, expire: { days: 2 } } : rule));
  expect(changesOf({ rules })).toMatchObject([{ item: first.id, is: expect.stringContaining('2 days') }]);
});

test('what a store lacks is left out, and required is what the configuration cannot do without', () => {
  const nothing = { ...desired, versioning: 'off', publicAccessBlocked: false, policy: null } as const;
  const lacking = ['public-access-block', 'policy', 'versioning', 'object-lock'] as const;
  const found = difference({ ...nothing, lacking: [...lacking] }, desired);
  expect(found.changes).toEqual([]);
  expect(found.lacking.filter(({ required }) => required).map(({ aspect }) => aspect)).toEqual([
    ...['versioning', 'object-lock'],
  ]);
});

test('a store that forgets the abortion of uploads is not asked for it for ever', () => {
  const rules = desired.rules.map((rule) => ({ ...rule, abortUploadsAfterDays: null }));
  expect(changesOf({ rules, lacking: ['uploads'] })).toEqual([]);
  expect(changesOf({ rules })).toHaveLength(1);
});

function statementsOf({ policy }: BucketSettings) {
  return (policy as { Statement: { Action: string[]; Resource: string[] }[] }).Statement;
}
