import { createHash } from 'node:crypto';
import type { Manifest, StoredObject } from '../model/backup.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import type { Repository } from './repository.ts';

/** Every object that a manifest names. */
export function objectsOf(manifest: Manifest): StoredObject[] {
  const { databases, globals, relations, instructions } = manifest;
  const others = [globals, relations ?? null, instructions].filter((one) => one !== null);
  return [...databases.flatMap(({ objects, schema }) => [...objects, schema]), ...others];
}

/** Reads every object of a backup to its end: each has to be there, in its version, byte by byte what was stored. */
export async function checkObjects(repository: Repository, manifest: Manifest, run: Run): Promise<Check> {
  const objects = objectsOf(manifest);
  const total = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const wrong: string[] = [];
  let done = 0;
  for (const object of objects) {
    const found = await digestOf(repository, object, run, (bytes) => {
      done += bytes;
      run.progress({ phase: 'reading the objects of the backup', done, total, unit: 'bytes' });
    });
    if (found !== object.sha256)
      wrong.push(
        `${object.key} ${found === null ? 'cannot be read' : 'is not what was stored: its sha256 differs'}`,
      );
  }
  return {
    name: 'objects',
    verdict: wrong.length === 0 ? 'pass' : 'fail',
    detail:
      wrong.length === 0
        ? `${objects.length} objects, ${total} bytes, each with the sha256 of its manifest`
        : wrong.join('; '),
  };
}

/** Null where the object is not there, or not of its size. */
async function digestOf(
  repository: Repository,
  object: StoredObject,
  run: Run,
  onBytes: (bytes: number) => void,
): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const piece of repository.stream(object, run.signal) as AsyncIterable<Buffer>) {
      hash.update(piece);
      onBytes(piece.length);
    }
    return hash.digest('hex');
  } catch (error) {
    run.signal.throwIfAborted();
    if (error instanceof HoldfastError && error.type === 'BackupUnusable') return null;
    throw error;
  }
}
