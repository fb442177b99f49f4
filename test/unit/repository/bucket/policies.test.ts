import { expect, test } from 'vitest';
import {
  bucketPolicy,
  type PolicyDocument,
  restorePolicy,
  writerPolicy,
} from '../../../../src/repository/bucket/policies.ts';
import { exampleConfig } from '../../config/example.ts';

const KEY = '1234abcd-12ab-34cd-56ef-1234567890ab';

function configOf(changes: object = {}) {
  const config = exampleConfig();
  return { ...config, repository: { ...config.repository, ...changes } };
}

const actions = ({ Statement }: PolicyDocument, effect: 'Allow' | 'Deny') =>
  Statement.filter(({ Effect }) => Effect === effect).flatMap(({ Action }) => Action);
const named = ({ Statement }: PolicyDocument, sid: string) => Statement.find(({ Sid }) => Sid === sid);

test('the writer may write and lay markers, and neither delete a version nor shorten a lock, whatever allows it', () => {
  const policy = writerPolicy(configOf());
  expect(actions(policy, 'Allow')).toEqual(
    expect.arrayContaining([
      's3:PutObject',
      's3:DeleteObject',
      's3:PutObjectRetention',
      's3:GetObjectVersion',
    ]),
  );
  expect(actions(policy, 'Allow')).not.toContain('s3:DeleteObjectVersion');
  expect(actions(policy, 'Deny')).toEqual(
    expect.arrayContaining([
      ...['s3:DeleteObjectVersion', 's3:BypassGovernanceRetention', 's3:PutObjectLegalHold'],
      ...['s3:PutBucket*', 's3:PutLifecycleConfiguration', 's3:PutEncryptionConfiguration'],
    ]),
  );
});

test('who restores changes nothing', () => {
  const writing = actions(restorePolicy(configOf({ kmsKeyId: KEY })), 'Allow').filter((action) =>
    /:(Put|Delete|Abort|Create|Bypass|Generate)/.test(action),
  );
  expect(writing).toEqual([]);
});

test('every name of ours can be told from others', () => {
  const config = configOf({ kmsKeyId: KEY });
  for (const policy of [writerPolicy(config), restorePolicy(config), bucketPolicy(config)]) {
    expect(policy.Statement.every(({ Sid }) => Sid.startsWith('holdfast'))).toBe(true);
  }
});

test('objects of other prefixes are not theirs', () => {
  const { Statement } = writerPolicy(configOf({ prefix: 'fleet/' }));
  const resources = Statement.filter(({ Action }) => Action.includes('s3:PutObject')).flatMap(
    ({ Resource }) => Resource,
  );
  expect(new Set(resources)).toEqual(
    new Set(['arn:aws:s3:::backups/fleet/*', 'arn:aws:s3:::backups/fleet/repair/*']),
  );
});

test.each([
  [KEY, `arn:aws:kms:eu-west-1:*:key/${KEY}`],
  [`arn:aws:kms:eu-west-1:111122223333:key/${KEY}`, `arn:aws:kms:eu-west-1:111122223333:key/${KEY}`],
])('the key %s is the only one, by its id and by its ARN', (kmsKeyId, arn) => {
  const config = configOf({ kmsKeyId });
  expect(named(writerPolicy(config), 'holdfastKey')?.Resource).toEqual([arn]);
  const { Condition } = named(bucketPolicy(config), 'holdfastOneKeyOnly') ?? {};
  const key = 's3:x-amz-server-side-encryption-aws-kms-key-id';
  expect(Condition).toEqual({
    Null: { [key]: 'false' },
    StringNotLike: { [key]: [kmsKeyId, `*:key/${KEY}`] },
  });
});

test('of an alias the key is not known: whoever names another is not refused by it', () => {
  const config = configOf({ kmsKeyId: 'alias/backups' });
  expect(named(bucketPolicy(config), 'holdfastOneKeyOnly')).toBeUndefined();
  expect(named(bucketPolicy(config), 'holdfastKmsOnly')).toBeDefined();
  expect(named(writerPolicy(config), 'holdfastKey')).toMatchObject({
    Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/backups' } },
  });
});

test('a store that is not AWS is given no action that it would refuse', () => {
  const policy = writerPolicy(configOf({ kmsKeyId: 'key', endpoint: 'https://s3.example.com' }));
  expect(actions(policy, 'Allow').filter((action) => /kms:|PublicAccess/.test(action))).toEqual([]);
  const aws = writerPolicy(
    configOf({ kmsKeyId: 'key', endpoint: 'https://s3.cn-north-1.amazonaws.com.cn', region: 'cn-north-1' }),
  );
  expect(actions(aws, 'Allow')).toContain('s3:GetBucketPublicAccessBlock');
  expect(named(aws, 'holdfastLook')?.Resource).toEqual(['arn:aws-cn:s3:::backups']);
});

test('an upload that brings its own key along is refused, with a key of ours or without', () => {
  for (const config of [configOf(), configOf({ kmsKeyId: KEY })]) {
    expect(named(bucketPolicy(config), 'holdfastNoKeyOfTheirs')).toMatchObject({
      Effect: 'Deny',
      Action: ['s3:PutObject'],
      Condition: { Null: { 's3:x-amz-server-side-encryption-customer-algorithm': 'false' } },
    });
  }
});

test('without TLS nothing goes, for nobody', () => {
  expect(named(bucketPolicy(configOf()), 'holdfastTlsOnly')).toEqual({
    Sid: 'holdfastTlsOnly',
    Effect: 'Deny',
    Principal: '*',
    Action: ['s3:*'],
    Resource: ['arn:aws:s3:::backups', 'arn:aws:s3:::backups/*'],
    Condition: { Bool: { 'aws:SecureTransport': 'false' } },
  });
});
