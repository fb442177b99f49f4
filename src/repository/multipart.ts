import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Connection } from './client.ts';
import { isNotFound } from './failure.ts';
import type { WriteParameters } from './repository.ts';
import { abortUpload, listUploads, type OpenUpload } from './uploads.ts';

/** How long a failed upload is tidied up after; what an S3 that is away keeps, the next attempt ends. */
export const CLEANUP_MS = 30_000;

/** A multipart upload in the making: the parts that S3 has confirmed. */
export interface MultipartUpload extends OpenUpload {
  parts: (CompletedPart & { PartNumber: number })[];
  sizeBytes: number;
}

/**
 * Opens a multipart upload of a key that nobody else writes. Parts that S3 copies itself have no checksum of ours: some
 * stores refuse them where one was announced.
 */
export async function createUpload(
  connection: S3Connection,
  key: string,
  parameters: WriteParameters & { ChecksumAlgorithm?: undefined },
  signal: AbortSignal,
): Promise<MultipartUpload> {
  let requests = 0;
  // An abort ends the waits between requests, never one under way: its upload would stay open, unknown to us.
  const opening = connection.request((s3) => {
    requests += 1;
    return s3.send(
      new CreateMultipartUploadCommand({
        Bucket: connection.bucket,
        Key: key,
        ChecksumAlgorithm: 'CRC32',
        ...parameters,
      }),
    );
  }, signal);
  const answer = await opening.catch(async (error: unknown) => {
    if (requests > 0) {
      await abortOthers(connection, { key, uploadId: '' }, AbortSignal.timeout(CLEANUP_MS)).catch(() => {});
    }
    throw error;
  });
  const upload = { key, uploadId: answer.UploadId ?? '', parts: [], sizeBytes: 0 };
  // A request whose answer was lost may have opened one that nobody knows.
  if (requests > 1) await abortOthers(connection, upload, signal);
  return upload;
}

export async function uploadPart(
  connection: S3Connection,
  upload: MultipartUpload,
  part: { number: number; data: Buffer },
  signal: AbortSignal,
): Promise<void> {
  const command = () =>
    new UploadPartCommand({
      Bucket: connection.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
      PartNumber: part.number,
      Body: part.data,
      ChecksumAlgorithm: 'CRC32',
    });
  const answer = await connection.request((s3, abort) => s3.send(command(), abort), signal);
  upload.parts.push({
    PartNumber: part.number,
    ETag: answer.ETag,
    ...(answer.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: answer.ChecksumCRC32 }),
  });
  upload.sizeBytes += part.data.length;
}

/** Makes the object out of its parts; returns its version. Asking twice is right as well. */
export async function completeUpload(
  connection: S3Connection,
  upload: MultipartUpload,
  signal: AbortSignal,
): Promise<string | null> {
  const command = () =>
    new CompleteMultipartUploadCommand({
      Bucket: connection.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
      MultipartUpload: { Parts: upload.parts.toSorted((a, b) => a.PartNumber - b.PartNumber) },
    });
  try {
    const answer = await connection.request((s3, abort) => s3.send(command(), abort), signal);
    return answer.VersionId ?? null;
  } catch (error) {
    // S3 forgets a completed upload: where the first answer was lost, the repeated request finds none.
    const made = isNotFound(error) ? await head(connection, upload.key, signal) : null;
    if (made === null || made.ContentLength !== upload.sizeBytes) throw error;
    return made.VersionId ?? null;
  }
}

async function head(connection: S3Connection, key: string, signal: AbortSignal) {
  const command = () => new HeadObjectCommand({ Bucket: connection.bucket, Key: key });
  try {
    return await connection.request((s3, abort) => s3.send(command(), abort), signal);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

async function abortOthers(connection: S3Connection, own: OpenUpload, signal: AbortSignal): Promise<void> {
  for (const upload of await listUploads(connection, own.key, signal)) {
    if (upload.key === own.key && upload.uploadId !== own.uploadId) {
      await abortUpload(connection, upload, signal);
    }
  }
}
