import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { S3Connection } from './client.ts';
import { isNotFound } from './failure.ts';

export interface OpenUpload {
  key: string;
  uploadId: string;
}

/**
 * Open multipart uploads under a prefix. MinIO lists them by the exact key or all at once, never by prefix;
 * so where the prefix finds none, all are asked for and filtered.
 */
export async function listUploads(
  connection: S3Connection,
  prefix: string,
  signal?: AbortSignal,
): Promise<OpenUpload[]> {
  const found = await listByPrefix(connection, prefix, signal);
  if (found.length > 0 || prefix === '') return found;
  const all = await listByPrefix(connection, '', signal);
  return all.filter((upload) => upload.key.startsWith(prefix));
}

/** Ends every open upload under the prefix (full key). Returns their number. */
export async function abortUploads(
  connection: S3Connection,
  prefix: string,
  signal?: AbortSignal,
): Promise<number> {
  const open = await listUploads(connection, prefix, signal);
  for (const upload of open) await abortUpload(connection, upload, signal);
  return open.length;
}

/** Ends one upload; one that is gone already is success. */
export async function abortUpload(
  connection: S3Connection,
  upload: OpenUpload,
  signal?: AbortSignal,
): Promise<void> {
  const command = () =>
    new AbortMultipartUploadCommand({
      Bucket: connection.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
    });
  try {
    await connection.request((s3, abort) => s3.send(command(), abort), signal);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function listByPrefix(
  connection: S3Connection,
  prefix: string,
  signal?: AbortSignal,
): Promise<OpenUpload[]> {
  const found: OpenUpload[] = [];
  let marker: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
  while (marker !== null) {
    const input: ConstructorParameters<typeof ListMultipartUploadsCommand>[0] = {
      Bucket: connection.bucket,
      Prefix: prefix,
      ...marker,
    };
    const page = await connection.request(
      (s3, abort) => s3.send(new ListMultipartUploadsCommand(input), abort),
      signal,
    );
    for (const { Key, UploadId } of page.Uploads ?? []) {
      if (Key !== undefined && UploadId !== undefined) found.push({ key: Key, uploadId: UploadId });
    }
    marker =
      page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? {
            KeyMarker: page.NextKeyMarker,
            ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
          }
        : null;
  }
  return found;
}
