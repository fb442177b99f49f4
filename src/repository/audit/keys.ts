import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import type { RepositoryConfig } from '../../config/schema.ts';
import { HoldfastError } from '../../model/failure.ts';
import { type Credentials, forSdk } from '../client.ts';
import { isNotFound } from '../failure.ts';
import type { Repository } from '../repository.ts';
import type { AuditedVersion, AuditFacts } from './facts.ts';
import { isArchive } from './fate.ts';

export type KeyState = AuditFacts['keys'][string];

/** A key by its own name: the configuration may have it with or without what AWS puts before it. */
export function keyName(key: string): string {
  return key.replace(/^arn:[\w-]+:kms:(?:[^:]*:[^:]*:)?(?:key\/)?/, '');
}

/** KMS is AWS's; another one can be named to its client by its own variable. */
export function hasKms({ endpoint }: RepositoryConfig): boolean {
  return endpoint === undefined || process.env.AWS_ENDPOINT_URL_KMS !== undefined;
}

/** What KMS says of a key; an alias is resolved. Null: it does not say, or these credentials may not ask. */
export async function describeKey(
  key: string,
  options: { region: string; credentials: Credentials | null; signal: AbortSignal },
): Promise<{ name: string; state: KeyState } | null> {
  const { region, credentials } = options;
  const client = new KMSClient({
    region,
    ...(credentials === null ? {} : { credentials: forSdk(credentials) }),
  });
  try {
    const { KeyMetadata: found } = await client.send(new DescribeKeyCommand({ KeyId: key }), {
      abortSignal: options.signal,
    });
    return { name: keyName(found?.Arn ?? key), state: stateOf(found?.KeyState) };
  } catch (error) {
    options.signal.throwIfAborted();
    return (error as Error).name === 'NotFoundException' ? { name: keyName(key), state: 'not-found' } : null;
  } finally {
    client.destroy();
  }
}

function stateOf(state: string | undefined): KeyState {
  if (state === 'Enabled') return 'enabled';
  return state === 'PendingDeletion' || state === 'PendingReplicaDeletion' ? 'pending-deletion' : 'disabled';
}

/** Whether a key still opens what it closed, by reading a byte: what a restore would have to do. */
export async function tryKey(
  { connection, fullKey }: Repository,
  closed: readonly AuditedVersion[],
  signal: AbortSignal,
): Promise<KeyState | 'unknown'> {
  const readable = closed.find(({ sizeBytes, storageClass }) => sizeBytes > 0 && !isArchive(storageClass));
  if (readable === undefined) return 'unknown';
  const command = () =>
    new GetObjectCommand({
      Bucket: connection.bucket,
      Key: fullKey(readable.key),
      Range: 'bytes=0-0',
      ...(readable.versionId === null ? {} : { VersionId: readable.versionId }),
    });
  try {
    const answer = await connection.request((s3, abort) => s3.send(command(), abort), signal);
    await answer.Body?.transformToByteArray();
    return 'enabled';
  } catch (error) {
    signal.throwIfAborted();
    if (isNotFound(error)) return 'unknown';
    if (error instanceof HoldfastError && error.type === 'RepositoryUnavailable') throw error;
    const { cause, message } = error as Error;
    const said = cause instanceof Error ? `${cause.name} ${cause.message}` : message;
    // AWS says `KMS.DisabledException`, MinIO `kms:InvalidCiphertextException`; all else is not about the key.
    if (!/^kms[.:]/i.test(said)) return 'unknown';
    return /not.?found|not exist/i.test(said) ? 'not-found' : 'disabled';
  }
}
