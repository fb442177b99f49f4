import {
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { isNotFound } from '../../failure.ts';
import { type Attempt, mustFail, POLICIES } from './attempt.ts';

type Send = (s3: S3Client, options: { abortSignal: AbortSignal | undefined }) => Promise<unknown>;

/**
 * How to change a setting without changing anything: what the admin reads is put back as it is. What is not there is
 * deleted. Null: neither can be done.
 */
const HARMLESS: Record<
  string,
  (bucket: string) => { get: (s3: S3Client) => Promise<Send | null>; none: Send | null }
> = {
  lifecycle: (Bucket) => ({
    get: async (s3) => {
      const { Rules } = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      return (as, abort) =>
        as.send(
          new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }),
          abort,
        );
    },
    none: (as, abort) => as.send(new DeleteBucketLifecycleCommand({ Bucket }), abort),
  }),
  policy: (Bucket) => ({
    get: async (s3) => {
      const { Policy } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
      return (as, abort) => as.send(new PutBucketPolicyCommand({ Bucket, Policy }), abort);
    },
    none: (as, abort) => as.send(new DeleteBucketPolicyCommand({ Bucket }), abort),
  }),
  versioning: (Bucket) => ({
    get: async (s3) => {
      const { Status } = await s3.send(new GetBucketVersioningCommand({ Bucket }));
      if (Status === undefined) return null;
      return (as, abort) =>
        as.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }), abort);
    },
    none: null,
  }),
  'default retention': (Bucket) => ({
    get: async (s3) => {
      const { ObjectLockConfiguration } = await s3.send(new GetObjectLockConfigurationCommand({ Bucket }));
      return (as, abort) =>
        as.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }), abort);
    },
    none: null,
  }),
  encryption: (Bucket) => ({
    get: async (s3) => {
      const { ServerSideEncryptionConfiguration } = await s3.send(new GetBucketEncryptionCommand({ Bucket }));
      return (as, abort) =>
        as.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration }), abort);
    },
    none: null,
  }),
};

/** Whoever may take the lifecycle, the policy or the lock off the bucket needs no right to delete. */
export const changeSettings: Attempt = async ({ writer, admin, signal }) => {
  const { bucket } = admin.connection;
  const findings = [];
  for (const [setting, of] of Object.entries(HARMLESS)) {
    const { get, none } = of(bucket);
    const change = await admin.connection
      .request((s3) => get(s3), signal)
      .catch((error: unknown) => (isNotFound(error) ? none : null));
    // Of a setting that cannot be read, or is not there at all, the comparison of settings tells.
    if (change === null) continue;
    const found = {
      detail: `it could change the bucket's ${setting}`,
      hint: `deny the bucket's settings to repository.credentials: ${POLICIES}`,
    };
    findings.push(
      await mustFail(`writer: changes the bucket's ${setting}`, found, () =>
        writer.connection.request(change, signal),
      ),
    );
  }
  return findings;
};
