import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import type { Repository } from './repository.ts';

type Source = Pick<Repository, 'stream'>;

/** A dump may lie in several objects, which are one stream. */
export function dumpedContent(
  repository: Source,
  objects: readonly StoredObject[],
  signal: AbortSignal,
): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (const object of objects) yield* repository.stream(object, signal) as AsyncIterable<Buffer>;
  }
  return Readable.from(pieces(), { objectMode: false });
}

/**
 * Reads a dump through and compares it with the manifest: for one without fingerprints, of which a restore of some
 * tables reads a part and has nothing to hold it against. Throws BackupUnusable.
 */
export async function requireUnchanged(
  repository: Source,
  { id, objects }: { id: string; objects: readonly StoredObject[] },
  run: Run,
): Promise<void> {
  const total = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  for (const object of objects) {
    const hash = createHash('sha256');
    for await (const piece of repository.stream(object, run.signal) as AsyncIterable<Buffer>) {
      hash.update(piece);
      done += piece.length;
      run.progress({ phase: 'comparing the dump with its manifest', done, total, unit: 'bytes' });
    }
    if (hash.digest('hex') === object.sha256) continue;
    throw new HoldfastError(
      'BackupUnusable',
      `the dump of backup ${id} is damaged: ${object.key} has changed`,
      {
        hint: 'use another backup: holdfast catalog lists them',
      },
    );
  }
}
