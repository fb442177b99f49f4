import { createHash } from 'node:crypto';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { UndoPlanInput } from './contract/change.ts';

/** Writes the stored rows of undo data, decompressed. Throws ChecksumMismatch for what is not as it was stored. */
export async function writeUndoData(
  objects: readonly StoredObject[],
  read: UndoPlanInput['read'],
  into: Writable,
  signal: AbortSignal,
): Promise<void> {
  // Split streams are one frame in several objects.
  const packed = Readable.from(verified(objects, read, signal), { objectMode: false });
  try {
    await pipeline(packed, createZstdDecompress(), into, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if ((error as { code?: string }).code?.startsWith('ZSTD_') === true) throw damaged(objects[0]?.key ?? '');
    throw error;
  }
}

async function* verified(
  objects: readonly StoredObject[],
  read: UndoPlanInput['read'],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (const object of objects) {
    const hash = createHash('sha256');
    for await (const piece of read(object, signal) as AsyncIterable<Buffer>) {
      hash.update(piece);
      yield piece;
    }
    if (hash.digest('hex') !== object.sha256) throw damaged(object.key);
  }
}

function damaged(what: string): HoldfastError {
  return new HoldfastError('ChecksumMismatch', `the undo data of ${what} is not what was stored`, {
    hint: 'recover to the moment before the import instead: holdfast restore pitr',
  });
}
