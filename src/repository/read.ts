import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { S3Connection } from './client.ts';
import { isNotFound, isTransient, repositoryError } from './failure.ts';

/**
 * The bytes of one version. When the connection breaks in the middle it asks for the rest, so that hours of a
 * download are not lost. Errors of the stream: BackupUnusable (not there), RepositoryUnavailable, RepositoryRefused.
 */
export function readObject(
  connection: S3Connection,
  object: Pick<StoredObject, 'key' | 'versionId' | 'sizeBytes'>,
  signal?: AbortSignal,
): Readable {
  return Readable.from(chunksOf(connection, object, signal), { objectMode: false });
}

async function* chunksOf(
  connection: S3Connection,
  object: Pick<StoredObject, 'key' | 'versionId' | 'sizeBytes'>,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  let offset = 0;
  let breaksInARow = 0;
  do {
    const body = await open(connection, object, offset, signal);
    try {
      for await (const chunk of body) {
        offset += (chunk as Buffer).length;
        breaksInARow = 0;
        yield chunk as Buffer;
      }
      break;
    } catch (error) {
      signal?.throwIfAborted();
      breaksInARow += 1;
      if (!isTransient(error) || breaksInARow > 5) throw repositoryError(error, connection.where);
    } finally {
      body.destroy();
    }
  } while (offset < object.sizeBytes);
  if (offset !== object.sizeBytes) {
    throw new HoldfastError(
      'BackupUnusable',
      `${object.key} holds ${offset} bytes where the manifest says ${object.sizeBytes}`,
    );
  }
}

async function open(
  connection: S3Connection,
  object: Pick<StoredObject, 'key' | 'versionId'>,
  offset: number,
  signal?: AbortSignal,
): Promise<Readable> {
  const command = () =>
    new GetObjectCommand({
      Bucket: connection.bucket,
      Key: object.key,
      ...(object.versionId === null ? {} : { VersionId: object.versionId }),
      ...(offset === 0 ? {} : { Range: `bytes=${offset}-` }),
    });
  try {
    const answer = await connection.request((s3, abort) => s3.send(command(), abort), signal);
    return answer.Body as Readable;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new HoldfastError('BackupUnusable', `${object.key} is not in the repository any more`, {
      hint: 'use another backup; holdfast catalog lists them',
      cause: error,
    });
  }
}
