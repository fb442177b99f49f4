import {
  GetBucketLifecycleConfigurationCommand,
  type GetBucketLifecycleConfigurationCommandOutput,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
  type LifecycleRule as S3Rule,
} from '@aws-sdk/client-s3';
import { HoldfastError } from '../../model/failure.ts';
import type { S3Connection } from '../client.ts';
import { isNotFound } from '../failure.ts';
import { toS3Rules } from '../lifecycle/s3-form.ts';
import { type BucketDifference, difference, isOurs, statementsOf } from './difference.ts';
import { readBucketSettings } from './read.ts';
import { BUCKET_ASPECTS, type BucketAspect, type BucketSettings } from './settings.ts';

/**
 * Makes the bucket as desired, reads it again, and returns what was done; a second time that is nothing. Throws
 * NotSupported before anything is changed where the store lacks what is required, RepositoryRefused for what the store
 * refuses, CheckFailed for what it took and does not keep.
 */
export async function applySettings(
  connection: S3Connection,
  desired: BucketSettings,
  signal?: AbortSignal,
): Promise<BucketDifference> {
  const is = await readBucketSettings(connection, signal);
  const found = difference(is, desired);
  requireSupport(found, connection.where);
  const changed = new Set(found.changes.map(({ aspect }) => aspect));
  for (const aspect of BUCKET_ASPECTS) {
    if (changed.has(aspect)) await APPLY[aspect]?.({ connection, is, desired, signal });
  }
  if (changed.size === 0) return found;
  const [left] = difference(await readBucketSettings(connection, signal), desired).changes;
  if (left === undefined) return found;
  const what = [left.aspect, ...(left.item === null ? [] : [left.item])].join(' ');
  throw new HoldfastError('CheckFailed', `the store took ${what}, and does not keep it: ${left.is}`, {
    hint: 'somebody else changed it at the same time, or this store knows less than S3: run the plan again',
  });
}

/** Throws NotSupported for the first thing that the configuration requires and this store lacks. */
export function requireSupport({ lacking }: Pick<BucketDifference, 'lacking'>, where: string): void {
  const missing = lacking.find(({ required }) => required);
  if (missing === undefined) return;
  throw new HoldfastError('NotSupported', `${where} cannot hold backups safely: ${missing.what}`, {
    hint: 'use a store that has it; what is asked for is in the section repository of the configuration',
  });
}

interface Change {
  connection: S3Connection;
  is: BucketSettings;
  desired: BucketSettings;
  signal: AbortSignal | undefined;
}

const APPLY: Partial<Record<BucketAspect, (change: Change) => Promise<void>>> = {
  versioning: ({ connection, signal }) => {
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    const input = { Bucket: connection.bucket, VersioningConfiguration };
    return put(connection, signal, (s3, abort) => s3.send(new PutBucketVersioningCommand(input), abort));
  },

  'object-lock': async ({ connection, is, desired, signal }) => {
    const { mode, days } = desired.objectLock?.retention ?? {};
    const ObjectLockConfiguration = {
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: mode, Days: days } },
    } as const;
    const input = { Bucket: connection.bucket, ObjectLockConfiguration };
    try {
      await put(connection, signal, (s3, abort) =>
        s3.send(new PutObjectLockConfigurationCommand(input), abort),
      );
    } catch (error) {
      if (is.objectLock !== null) throw error;
      throw withoutLock(error, connection.bucket);
    }
  },

  encryption: ({ connection, desired, signal }) => {
    const { kmsKeyId } = desired.encryption ?? {};
    const input = {
      Bucket: connection.bucket,
      ServerSideEncryptionConfiguration: {
        Rules: [
          {
            ApplyServerSideEncryptionByDefault: {
              SSEAlgorithm: 'aws:kms' as const,
              KMSMasterKeyID: kmsKeyId ?? undefined,
            },
            BucketKeyEnabled: true,
          },
        ],
      },
    };
    return put(connection, signal, (s3, abort) => s3.send(new PutBucketEncryptionCommand(input), abort));
  },

  'public-access-block': ({ connection, signal }) => {
    const PublicAccessBlockConfiguration = {
      ...{ BlockPublicAcls: true, IgnorePublicAcls: true },
      ...{ BlockPublicPolicy: true, RestrictPublicBuckets: true },
    };
    const input = { Bucket: connection.bucket, PublicAccessBlockConfiguration };
    return put(connection, signal, (s3, abort) => s3.send(new PutPublicAccessBlockCommand(input), abort));
  },

  policy: ({ connection, is, desired, signal }) => {
    const others = statementsOf(is.policy).filter(({ Sid }) => !isOurs(Sid));
    const policy = {
      ...(is.policy ?? desired.policy),
      Statement: [...others, ...statementsOf(desired.policy)],
    };
    const input = { Bucket: connection.bucket, Policy: JSON.stringify(policy) };
    return put(connection, signal, (s3, abort) => s3.send(new PutBucketPolicyCommand(input), abort));
  },

  lifecycle: async ({ connection, desired, signal }) => {
    const { Rules = [], TransitionDefaultMinimumObjectSize } = await rawLifecycle(connection, signal);
    const others = Rules.filter(({ ID }) => !isOurs(ID)).map(withFilter);
    const input = {
      Bucket: connection.bucket,
      LifecycleConfiguration: { Rules: [...others, ...toS3Rules(desired.rules)] },
      ...(TransitionDefaultMinimumObjectSize === undefined ? {} : { TransitionDefaultMinimumObjectSize }),
    };
    await put(connection, signal, (s3, abort) =>
      s3.send(new PutBucketLifecycleConfigurationCommand(input), abort),
    );
  },
};

type Send = Parameters<S3Connection['request']>[0];

async function put(connection: S3Connection, signal: AbortSignal | undefined, send: Send): Promise<void> {
  await connection.request(send, signal);
}

/** As S3 has it: nothing of other people's rules is lost on the way. */
async function rawLifecycle(
  connection: S3Connection,
  signal: AbortSignal | undefined,
): Promise<Partial<GetBucketLifecycleConfigurationCommandOutput>> {
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: connection.bucket });
  try {
    return await connection.request((s3, abort) => s3.send(command, abort), signal);
  } catch (error) {
    if (isNotFound(error)) return {};
    throw error;
  }
}

/** Rules of the old form, by prefix, do not go together with those that have a filter. */
function withFilter({ Prefix, ...rule }: S3Rule): S3Rule {
  return rule.Filter === undefined ? { ...rule, Filter: { Prefix: Prefix ?? '' } } : rule;
}

function withoutLock(cause: unknown, bucket: string): HoldfastError {
  const said = cause instanceof HoldfastError ? (cause.hint ?? cause.message) : String(cause);
  return new HoldfastError(
    'RepositoryRefused',
    `the bucket ${bucket} was made without Object Lock, and this store does not turn it on afterwards: ${said}`,
    {
      hint: 'make a new bucket with Object Lock, name it in repository.bucket, and take new backups; or leave out repository.lock, and nothing stops who may delete versions',
      cause,
    },
  );
}
