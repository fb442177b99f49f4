import type { RepositoryConfig } from '../../config/schema.ts';
import { FOLDERS } from '../layout.ts';

/** A policy document of IAM, or of a bucket. */
export interface PolicyDocument {
  Version: '2012-10-17';
  Statement: PolicyStatement[];
}

interface PolicyStatement {
  Sid: string;
  Effect: 'Allow' | 'Deny';
  Principal?: '*';
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** Where it is, and its key: all that a policy names. */
type Place = Pick<RepositoryConfig, 'endpoint' | 'region' | 'bucket' | 'prefix' | 'kmsKeyId'>;

const LOOK = ['s3:ListBucket', 's3:ListBucketVersions', 's3:GetBucketLocation'];
const LOOK_AT_SETTINGS = [
  's3:GetBucketVersioning',
  's3:GetBucketObjectLockConfiguration',
  's3:GetEncryptionConfiguration',
  's3:GetBucketPolicy',
  's3:GetLifecycleConfiguration',
];
const READ = [
  's3:GetObject',
  's3:GetObjectVersion',
  's3:GetObjectRetention',
  's3:GetObjectLegalHold',
  // A thaw makes a copy that can be read, and changes no data.
  's3:RestoreObject',
];
const WRITE = [
  's3:PutObject',
  's3:PutObjectRetention',
  // Lays a marker: pgBackRest's expiry and the clean-up of an aborted backup need it.
  's3:DeleteObject',
  's3:AbortMultipartUpload',
  's3:ListMultipartUploadParts',
];

/**
 * For `repository.credentials`: may write and lay markers, but neither delete a version nor shorten a lock. Its denials
 * hold whatever else these credentials are allowed.
 */
export function writerPolicy({ repository }: { repository: Place }): PolicyDocument {
  const { bucket, objects } = resourcesOf(repository);
  return policyOf([
    allow('Look', [...LOOK, 's3:ListBucketMultipartUploads', ...lookAtSettings(repository)], bucket),
    allow('Write', [...READ, ...WRITE], objects),
    ...keyStatements(repository, ['kms:GenerateDataKey', 'kms:Decrypt', 'kms:DescribeKey']),
    deny(
      'NeverForGood',
      ['s3:DeleteObjectVersion', 's3:BypassGovernanceRetention', 's3:PutObjectLegalHold'],
      objects,
    ),
    // Who writes over backups must not be able to vouch for it.
    deny(
      'NoRepairs',
      ['s3:PutObject', 's3:DeleteObject'],
      objects.map((all) => `${all.slice(0, -1)}${FOLDERS.repair}*`),
    ),
    deny(
      'NoSettings',
      [
        's3:DeleteBucket',
        's3:DeleteBucketPolicy',
        // Versioning, Object Lock, the policy, public access and whatever else a bucket can be told.
        's3:PutBucket*',
        's3:PutEncryptionConfiguration',
        's3:PutLifecycleConfiguration',
      ],
      bucket,
    ),
    // Where the bucket's policy says it too, twice; a store that has no such policy has it from here alone.
    ...encryptionStatements(repository, objects),
  ]);
}

/** For `repository.restoreCredentials`: reads, and nothing else. */
export function restorePolicy({ repository }: { repository: Place }): PolicyDocument {
  const { bucket, objects } = resourcesOf(repository);
  return policyOf([
    allow('Look', [...LOOK, ...lookAtSettings(repository)], bucket),
    allow('Read', READ, objects),
    ...keyStatements(repository, ['kms:Decrypt', 'kms:DescribeKey']),
  ]);
}

/**
 * The statements for the bucket's own policy: what nobody may do, whoever allows it. Who may change settings can only be
 * said in the roles' policies: the configuration knows credentials, not whose they are.
 */
export function bucketPolicy({ repository }: { repository: Place }): PolicyDocument {
  const { bucket, objects } = resourcesOf(repository);
  const all = [...bucket, `${bucket[0]}/*`];
  const statements = [
    deny('TlsOnly', ['s3:*'], all, { Bool: { 'aws:SecureTransport': 'false' } }),
    ...encryptionStatements(repository, objects),
  ];
  return policyOf(statements.map((statement) => ({ ...statement, Principal: '*' })));
}

/**
 * An upload that names no encryption gets the bucket's, with the configured key; so does a part of an upload in several.
 * One that names another is refused, and so is one that brings a key along: nobody else could read it.
 */
function encryptionStatements({ kmsKeyId }: Place, objects: string[]): PolicyStatement[] {
  const header = 's3:x-amz-server-side-encryption';
  const refuse = (sid: string, name: string, condition: PolicyStatement['Condition'] = {}) =>
    deny(sid, ['s3:PutObject'], objects, { Null: { [name]: 'false' }, ...condition });
  const own = refuse('NoKeyOfTheirs', `${header}-customer-algorithm`);
  if (kmsKeyId === undefined) return [own];
  const only = refuse('KmsOnly', header, { StringNotEquals: { [header]: 'aws:kms' } });
  // S3 asks by the key's own name: of an alias it cannot be told which key it means.
  if (isAlias(kmsKeyId)) return [own, only];
  const key = `${header}-aws-kms-key-id`;
  const names = [kmsKeyId, `*:key/${bareKey(kmsKeyId)}`];
  return [own, only, refuse('OneKeyOnly', key, { StringNotLike: { [key]: names } })];
}

/** Only AWS has keys that its own policies speak of; other stores refuse a policy with actions they do not know. */
function keyStatements(repository: Place, actions: string[]): PolicyStatement[] {
  const { kmsKeyId, region } = repository;
  if (kmsKeyId === undefined || !isAws(repository)) return [];
  const arn = `arn:${partitionOf(region)}:kms:${region}:*`;
  if (kmsKeyId.startsWith('arn:') && !isAlias(kmsKeyId)) return [allow('Key', actions, [kmsKeyId])];
  if (!isAlias(kmsKeyId)) return [allow('Key', actions, [`${arn}:key/${kmsKeyId}`])];
  const alias = kmsKeyId.slice(kmsKeyId.indexOf('alias/'));
  const named = { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': alias } };
  return [{ ...allow('Key', actions, [`${arn}:key/*`]), Condition: named }];
}

function lookAtSettings(repository: Place): string[] {
  return isAws(repository) ? [...LOOK_AT_SETTINGS, 's3:GetBucketPublicAccessBlock'] : LOOK_AT_SETTINGS;
}

/** Whether it is S3 itself, if by an endpoint of its own. */
export function isAws({ endpoint }: Pick<RepositoryConfig, 'endpoint'>): boolean {
  return endpoint === undefined || /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
}

/** `1234abcd-…` of a key's ARN, or of itself. */
export function bareKey(kmsKeyId: string): string {
  return kmsKeyId.slice(kmsKeyId.lastIndexOf('/') + 1);
}

const isAlias = (kmsKeyId: string): boolean => /^(arn:.*:)?alias\//.test(kmsKeyId);

function resourcesOf({ bucket, prefix, region }: Place) {
  const arn = `arn:${partitionOf(region)}:s3:::${bucket}`;
  return { bucket: [arn], objects: [`${arn}/${prefix}*`] };
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

const policyOf = (Statement: PolicyStatement[]): PolicyDocument => ({ Version: '2012-10-17', Statement });

const allow = (name: string, Action: string[], Resource: string[]): PolicyStatement => ({
  Sid: `holdfast${name}`,
  Effect: 'Allow',
  Action,
  Resource,
});

const deny = (
  name: string,
  Action: string[],
  Resource: string[],
  Condition?: PolicyStatement['Condition'],
): PolicyStatement => ({
  Sid: `holdfast${name}`,
  Effect: 'Deny',
  Action,
  Resource,
  ...(Condition === undefined ? {} : { Condition }),
});
