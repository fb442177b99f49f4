import { HeadObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import type { StoredObject } from '../model/backup.ts';
import type { StorageClass } from '../model/lifecycle.ts';
import type { LockMode } from './bucket/settings.ts';
import { isNotFound } from './failure.ts';
import type { Repository } from './repository.ts';

type Version = Pick<StoredObject, 'key' | 'versionId'>;

/** S3 keeps the dates of locks in whole seconds. */
const TOLERANCE_MS = 1_000;

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

/** Asks one version how it is kept. Rejects like {@link S3Connection.request}, also where there is none. */
export async function readRetention(
  { connection, fullKey }: Repository,
  version: Version,
  signal?: AbortSignal,
): Promise<Retention> {
  const command = () => new HeadObjectCommand({ Bucket: connection.bucket, ...nameOf(fullKey, version) });
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

/**
 * Locks a version until then at least, in the configured mode; without one in the configuration nothing is locked.
 * Never shortens: S3 itself refuses that, and a lock that lasts longer is right as well.
 */
export async function lockUntil(
  repository: Repository,
  version: Version,
  until: string,
  signal?: AbortSignal,
): Promise<void> {
  const { connection, fullKey } = repository;
  const { ObjectLockMode: mode } = repository.writeParameters({ lockedUntil: until });
  if (mode === undefined) return;
  const lock = (as: LockMode) => {
    const command = () =>
      new PutObjectRetentionCommand({
        ...{ Bucket: connection.bucket, ...nameOf(fullKey, version) },
        Retention: { Mode: as, RetainUntilDate: new Date(until) },
      });
    return connection.request((s3, abort) => s3.send(command(), abort), signal);
  };
  try {
    await lock(mode);
  } catch (error) {
    if (isNotFound(error)) throw error;
    const { lock: there } = await readRetention(repository, version, signal);
    if (there === null) throw error;
    if (Date.parse(there.until) + TOLERANCE_MS > Date.parse(until)) return;
    // The bucket's default had another mode when it was written, which not everybody may change.
    if (there.mode === mode) throw error;
    await lock(there.mode);
  }
}

function nameOf(fullKey: Repository['fullKey'], { key, versionId }: Version) {
  return { Key: fullKey(key), ...(versionId === null ? {} : { VersionId: versionId }) };
}
