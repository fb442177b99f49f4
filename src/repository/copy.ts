import { CopyObjectCommand, HeadObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { mapBounded } from './bounded.ts';
import { isNotFound } from './failure.ts';
import { CLEANUP_MS, completeUpload, createUpload, type MultipartUpload } from './multipart.ts';
import type { Repository, WriteOptions } from './repository.ts';
import { abortUpload } from './uploads.ts';

const MIB = 1024 * 1024;
/** S3 itself copies 5 GB at a time; where many copies share a slow disk, a request of more than this would be taken for dead. */
const LARGEST_WHOLE = 256 * MIB;
const PART_BYTES = 128 * MIB;
/** S3's own limit. */
const MOST_PARTS = 10_000;
const PARTS_AT_ONCE = 4;

export interface CopyOptions extends WriteOptions {
  /** called with what was copied since the last call */
  onBytes?: (bytes: number) => void;
  /** larger objects are copied in parts of this size; tests set it small */
  partBytes?: number;
}

type Source = Pick<StoredObject, 'key' | 'versionId'> & { sizeBytes?: number };
type Copied = Omit<StoredObject, 'sha256'>;

/**
 * Copies one version within the repository; no byte of it comes through here. Without a version, the latest. Throws
 * BackupUnusable where it is not there any more, RepositoryRefused where it lies in an archive class,
 * RepositoryUnavailable where another attempt, which has tidied up, is at it.
 */
export async function copyObject(
  repository: Repository,
  from: Source,
  toKey: string,
  options: CopyOptions = {},
): Promise<Copied> {
  try {
    const source = await fixed(repository, from, options);
    const copy = source.sizeBytes > (options.partBytes ?? LARGEST_WHOLE) ? copyInParts : copyWhole;
    return await copy(repository, source, toKey, options);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    if ((error as Error).name === 'NoSuchUpload') {
      throw new HoldfastError(
        'RepositoryUnavailable',
        `another attempt has ended the copying of ${from.key}`,
        {
          cause: error,
        },
      );
    }
    throw new HoldfastError('BackupUnusable', `${from.key} is not in the repository any more`, {
      hint: 'something has removed it meanwhile: see holdfast repository audit',
      cause: error,
    });
  }
}

/** What is copied in parts must not change between two of them: its version and its size are asked for first. */
async function fixed(
  { connection, fullKey }: Repository,
  from: Source,
  { signal, partBytes = LARGEST_WHOLE }: CopyOptions,
): Promise<Source & { sizeBytes: number }> {
  const { key, versionId, sizeBytes } = from;
  if (sizeBytes !== undefined && (versionId !== null || sizeBytes <= partBytes))
    return { ...from, sizeBytes };
  const command = () =>
    new HeadObjectCommand({
      ...{ Bucket: connection.bucket, Key: fullKey(key) },
      ...(versionId === null ? {} : { VersionId: versionId }),
    });
  const head = await connection.request((s3, abort) => s3.send(command(), abort), signal);
  return { key, versionId: versionId ?? head.VersionId ?? null, sizeBytes: head.ContentLength ?? 0 };
}

async function copyWhole(
  repository: Repository,
  source: Source & { sizeBytes: number },
  toKey: string,
  options: CopyOptions,
): Promise<Copied> {
  const { connection, fullKey } = repository;
  const command = () =>
    new CopyObjectCommand({
      ...{ Bucket: connection.bucket, Key: fullKey(toKey), CopySource: copySource(repository, source) },
      ...repository.writeParameters(options),
      // Left out: the source's own stays, its content type with it.
      ...(options.contentType === undefined ? {} : { MetadataDirective: 'REPLACE' as const }),
    });
  const answer = await connection.request((s3, abort) => s3.send(command(), abort), options.signal);
  options.onBytes?.(source.sizeBytes);
  return { key: toKey, versionId: answer.VersionId ?? null, sizeBytes: source.sizeBytes };
}

async function copyInParts(
  repository: Repository,
  source: Source & { sizeBytes: number },
  toKey: string,
  options: CopyOptions,
): Promise<Copied> {
  const { connection } = repository;
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const parameters = { ...repository.writeParameters(options), ChecksumAlgorithm: undefined };
  const upload = await createUpload(connection, repository.fullKey(toKey), parameters, signal);
  const from = copySource(repository, source);
  const bytes = Math.max(options.partBytes ?? PART_BYTES, Math.ceil(source.sizeBytes / MOST_PARTS));
  const starts = Array.from({ length: Math.ceil(source.sizeBytes / bytes) }, (_, index) => index * bytes);
  const copyPart = async (start: number) => {
    const end = Math.min(start + bytes, source.sizeBytes);
    await partOf(repository, upload, { from, number: start / bytes + 1, start, end }, signal);
    options.onBytes?.(end - start);
  };
  try {
    await mapBounded(starts, PARTS_AT_ONCE, copyPart);
    const versionId = await completeUpload(connection, upload, signal);
    return { key: toKey, versionId, sizeBytes: source.sizeBytes };
  } catch (error) {
    failed.abort(error);
    await abortUpload(connection, upload, AbortSignal.timeout(CLEANUP_MS)).catch(() => {});
    throw error;
  }
}

async function partOf(
  { connection }: Repository,
  upload: MultipartUpload,
  part: { from: string; number: number; start: number; end: number },
  signal: AbortSignal,
): Promise<void> {
  const command = () =>
    new UploadPartCopyCommand({
      ...{ Bucket: connection.bucket, Key: upload.key, UploadId: upload.uploadId },
      ...{ PartNumber: part.number, CopySource: part.from },
      CopySourceRange: `bytes=${part.start}-${part.end - 1}`,
    });
  const answer = await connection.request((s3, abort) => s3.send(command(), abort), signal);
  upload.parts.push({ PartNumber: part.number, ETag: answer.CopyPartResult?.ETag });
  upload.sizeBytes += part.end - part.start;
}

/** The SDK sends it as it is: a key with other than plain letters has to be encoded here. */
function copySource({ connection, fullKey }: Repository, { key, versionId }: Source): string {
  const path = fullKey(key).split('/').map(encodeURIComponent).join('/');
  return `${connection.bucket}/${path}${versionId === null ? '' : `?versionId=${encodeURIComponent(versionId)}`}`;
}
