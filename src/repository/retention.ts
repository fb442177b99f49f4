import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { StorageClass } from '../model/lifecycle.ts';
import type { LockMode } from './bucket/settings.ts';
import type { Repository } from './repository.ts';

/** How one version is kept. */
export interface Retention {
  /** `until`: ISO 8601. Null: it is not locked, or the credentials may not read retention */
  lock: { mode: LockMode; until: string } | null;
  legalHold: boolean;
  encrypted: boolean;
  /** null: encrypted without KMS, or not at all */
  kmsKeyId: string | null;
  storageClass: StorageClass;
}

/** Asks one version how it is kept. Rejects like {@link S3Connection.request}. */
export async function readRetention(
  { connection, fullKey }: Repository,
  { key, versionId }: { key: string; versionId: string | null },
  signal?: AbortSignal,
): Promise<Retention> {
  const command = () =>
    new HeadObjectCommand({
      Bucket: connection.bucket,
      Key: fullKey(key),
      ...(versionId === null ? {} : { VersionId: versionId }),
    });
  const head = await connection.request((s3, abort) => s3.send(command(), abort), signal);
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = head;
  return {
    lock: mode === undefined || until === undefined ? null : { mode, until: until.toISOString() },
    legalHold: head.ObjectLockLegalHoldStatus === 'ON',
    encrypted: head.ServerSideEncryption !== undefined,
    kmsKeyId: head.SSEKMSKeyId ?? null,
    storageClass: head.StorageClass ?? 'STANDARD',
  };
}
