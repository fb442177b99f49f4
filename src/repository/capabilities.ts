import { createHash, randomUUID } from 'node:crypto';
import { GetBucketVersioningCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { HoldfastError } from '../model/failure.ts';
import { copyObject } from './copy.ts';
import { PROBE_FOLDER } from './layout.ts';
import type { Repository } from './repository.ts';

/** Something that S3 servers can do, or not. */
export interface Capability {
  name: string;
  works: boolean;
  /** what was seen */
  detail: string;
  /** what is done where it does not work */
  without: string;
  /** Holdfast cannot do without */
  required: boolean;
}

/** A lock that is as short as it can be: the probe stays until it ends. */
const LOCK_MS = 60_000;

interface Probe extends Pick<Capability, 'name' | 'without' | 'required'> {
  /** What was seen. Throws what S3 says where it does not work. */
  attempt(key: string): Promise<string>;
}

/** Tries each with an object of its own below the doctor's folder, and removes what it may. */
export async function probeCapabilities(
  repository: Repository,
  { signal }: { signal: AbortSignal },
): Promise<Capability[]> {
  const found: Capability[] = [];
  for (const { attempt, ...probe } of probesOf(repository, signal)) {
    const key = `${PROBE_FOLDER}${randomUUID()}`;
    try {
      found.push({ ...probe, works: true, detail: await attempt(key) });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof HoldfastError && error.type === 'RepositoryUnavailable') throw error;
      found.push({ ...probe, works: false, detail: reasonOf(error) });
    } finally {
      await repository.remove(key).catch(() => {});
    }
  }
  return found;
}

function probesOf(repository: Repository, signal: AbortSignal): Probe[] {
  const { connection, fullKey } = repository;
  const Bucket = connection.bucket;
  const put = (key: string, more: object = {}) =>
    connection.request(
      (s3, abort) =>
        s3.send(
          new PutObjectCommand({
            Bucket,
            Key: fullKey(key),
            Body: key,
            ...repository.writeParameters({}),
            ...more,
          }),
          abort,
        ),
      signal,
    );
  const head = (key: string, more: object = {}) =>
    connection.request(
      (s3, abort) => s3.send(new HeadObjectCommand({ Bucket, Key: fullKey(key), ...more }), abort),
      signal,
    );
  return [
    {
      name: 'versioning',
      without: 'whoever deletes an object has deleted it',
      required: true,
      async attempt() {
        const { Status } = await connection.request(
          (s3, abort) => s3.send(new GetBucketVersioningCommand({ Bucket }), abort),
          signal,
        );
        if (Status === 'Enabled') return 'versions are kept';
        throw new HoldfastError('NotSupported', 'versions are not kept');
      },
    },
    {
      name: 'object lock',
      without: 'whoever holds the credentials can delete backups',
      required: false,
      async attempt(key) {
        const ObjectLockRetainUntilDate = new Date(Date.now() + LOCK_MS);
        await put(key, { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate });
        const { ObjectLockMode } = await head(key);
        if (ObjectLockMode === 'GOVERNANCE') return 'a version can be locked until a date';
        throw new HoldfastError('NotSupported', 'a lock was taken, and is not there');
      },
    },
    {
      name: 'encryption with a key',
      without: "objects are encrypted with the store's own key at best",
      required: false,
      async attempt(key) {
        await put(key);
        const { SSEKMSKeyId, ServerSideEncryption } = await head(key);
        if (SSEKMSKeyId !== undefined) return `objects are encrypted with ${SSEKMSKeyId}`;
        throw new HoldfastError(
          'NotSupported',
          `objects are encrypted with ${ServerSideEncryption ?? 'nothing'}`,
        );
      },
    },
    {
      name: 'conditional writes',
      without: 'of two attempts that end at the same moment the later one counts',
      required: false,
      async attempt(key) {
        if (!(await repository.create(key, '1')))
          throw new HoldfastError('NotSupported', 'a first write was refused');
        if (!(await repository.create(key, '2'))) return 'of two writers one is first';
        throw new HoldfastError('NotSupported', 'a second write is taken all the same');
      },
    },
    {
      name: 'checksums',
      without: 'what arrives is compared when it is read only',
      required: false,
      async attempt(key) {
        const ChecksumSHA256 = createHash('sha256').update(key).digest('base64');
        await put(key, { ChecksumSHA256 });
        const kept = await head(key, { ChecksumMode: 'ENABLED' });
        if (kept.ChecksumSHA256 === ChecksumSHA256) return 'what arrives is compared with its sha256';
        throw new HoldfastError('NotSupported', 'a sha256 is taken, and not kept');
      },
    },
    {
      name: 'copies',
      without: 'there can be no monthly snapshots',
      required: true,
      async attempt(key) {
        const { VersionId } = await put(key);
        const copy = `${key}.copy`;
        try {
          await copyObject(repository, { key, versionId: VersionId ?? null }, copy);
          return 'the server copies a version by itself';
        } finally {
          await repository.remove(copy).catch(() => {});
        }
      },
    },
    {
      name: 'storage classes',
      without: 'everything lies in the class that the store has',
      required: false,
      async attempt(key) {
        await put(key, { StorageClass: 'STANDARD_IA' });
        const { StorageClass } = await head(key);
        if (StorageClass === 'STANDARD_IA') return 'STANDARD_IA is kept';
        throw new HoldfastError(
          'NotSupported',
          `STANDARD_IA is taken, and kept as ${StorageClass ?? 'STANDARD'}`,
        );
      },
    },
  ];
}

function reasonOf(error: unknown): string {
  if (error instanceof HoldfastError && error.type === 'NotSupported') return error.message;
  const { name, cause } = error as { name: string; cause?: { name?: string } };
  return `refused (${cause?.name ?? name})`;
}
