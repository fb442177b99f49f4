import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLocationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  type ObjectLockConfiguration,
  type PublicAccessBlockConfiguration,
  type S3Client,
  type ServerSideEncryptionConfiguration,
} from '@aws-sdk/client-s3';
import type { S3Connection } from '../client.ts';
import { isNotFound } from '../failure.ts';
import { fromS3Rules } from '../lifecycle/s3-form.ts';
import type { BucketAspect, BucketSettings } from './settings.ts';

/**
 * What the bucket says of itself. What its store has no such thing of is in `lacking`, and no error. Rejects like
 * {@link S3Connection.request}: with RepositoryRefused where the credentials may not look.
 */
export async function readBucketSettings(
  connection: S3Connection,
  signal?: AbortSignal,
): Promise<BucketSettings> {
  const Bucket = connection.bucket;
  const lacking: BucketAspect[] = [];
  /** Null: nothing is set. */
  const ask = async <T>(
    aspect: BucketAspect,
    request: (s3: S3Client, options: { abortSignal: AbortSignal | undefined }) => Promise<T>,
  ): Promise<T | null> => {
    try {
      return await connection.request(request, signal);
    } catch (error) {
      if (isLacking(error)) lacking.push(aspect);
      else if (!isNotFound(error)) throw error;
      return null;
    }
  };
  const location = await connection.request(
    (s3, abort) => s3.send(new GetBucketLocationCommand({ Bucket }), abort),
    signal,
  );
  const versioning = await ask('versioning', (s3, abort) =>
    s3.send(new GetBucketVersioningCommand({ Bucket }), abort),
  );
  const lock = await ask('object-lock', (s3, abort) =>
    s3.send(new GetObjectLockConfigurationCommand({ Bucket }), abort),
  );
  const encryption = await ask('encryption', (s3, abort) =>
    s3.send(new GetBucketEncryptionCommand({ Bucket }), abort),
  );
  const access = await ask('public-access-block', (s3, abort) =>
    s3.send(new GetPublicAccessBlockCommand({ Bucket }), abort),
  );
  const policy = await ask('policy', (s3, abort) => s3.send(new GetBucketPolicyCommand({ Bucket }), abort));
  const lifecycle = await ask('lifecycle', (s3, abort) =>
    s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }), abort),
  );
  const rules = fromS3Rules(lifecycle?.Rules ?? []);
  if (lacking.includes('public-access-block')) {
    // Such a store has policies, if any, for visitors without credentials only: a Deny stops nobody else.
    if (!lacking.includes('policy')) lacking.push('policy');
    // MinIO takes this part of a rule and forgets it.
    if (!rules.some(({ abortUploadsAfterDays }) => abortUploadsAfterDays !== null)) lacking.push('uploads');
  }
  return {
    region: regionOf(location.LocationConstraint),
    versioning: versioning?.Status === undefined ? 'off' : stateOf(versioning.Status),
    objectLock: lockOf(lock?.ObjectLockConfiguration),
    encryption: encryptionOf(encryption?.ServerSideEncryptionConfiguration),
    publicAccessBlocked: isBlocked(access?.PublicAccessBlockConfiguration),
    policy: policy?.Policy === undefined ? null : (JSON.parse(policy.Policy) as object),
    rules,
    lacking,
  };
}

/** By S3's own name, which a refusal of ours has in its cause. */
function isLacking(error: unknown): boolean {
  const { name, cause } = error as { name: string; cause?: { name?: string } };
  return ['NotImplemented', 'MethodNotAllowed'].includes(cause?.name ?? name);
}

/** With the names of before there were regions. */
function regionOf(constraint: string | undefined): string {
  if (constraint === undefined || constraint === '') return 'us-east-1';
  return constraint === 'EU' ? 'eu-west-1' : constraint;
}

const stateOf = (status: string) => (status === 'Enabled' ? 'enabled' : 'suspended');

function lockOf(lock: ObjectLockConfiguration | undefined): BucketSettings['objectLock'] {
  if (lock?.ObjectLockEnabled !== 'Enabled') return null;
  const { Mode, Days, Years } = lock.Rule?.DefaultRetention ?? {};
  const days = Days ?? (Years ?? 0) * 365;
  return { retention: Mode === undefined || days === 0 ? null : { mode: Mode, days } };
}

function encryptionOf(
  encryption: ServerSideEncryptionConfiguration | undefined,
): BucketSettings['encryption'] {
  const { ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: bucketKey } =
    encryption?.Rules?.[0] ?? {};
  if (byDefault?.SSEAlgorithm === undefined) return null;
  return {
    algorithm: byDefault.SSEAlgorithm,
    kmsKeyId: byDefault.KMSMasterKeyID ?? null,
    ...(bucketKey === undefined ? {} : { bucketKey }),
  };
}

function isBlocked(access: PublicAccessBlockConfiguration | undefined): boolean {
  return (
    access?.BlockPublicAcls === true &&
    access.IgnorePublicAcls === true &&
    access.BlockPublicPolicy === true &&
    access.RestrictPublicBuckets === true
  );
}
