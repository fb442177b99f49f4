import type { Manifest, StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { TableRelation } from '../model/relation.ts';
import { mapBounded } from './bounded.ts';
import type { Repository, WriteOptions } from './repository.ts';

const READS_AT_ONCE = 4;

/** Keeps where the tables lay, for a backup's manifest to name. */
export function writeRelations(
  repository: Repository,
  key: string,
  relations: readonly TableRelation[],
  options: WriteOptions,
): Promise<StoredObject> {
  return repository.put(key, `${JSON.stringify(relations)}\n`, {
    contentType: 'application/json',
    ...options,
  });
}

/**
 * Where tables of a database lay, as these backups knew it, oldest first. A backup without this knowledge, or
 * whose object is not there any more, adds nothing. Throws ChecksumMismatch, RepositoryUnavailable.
 */
export async function readRelations(
  repository: Repository,
  manifests: readonly Manifest[],
  signal?: AbortSignal,
): Promise<TableRelation[]> {
  const ids = new Set(manifests.map(({ id }) => id));
  // A snapshot knows what the backup knew that it is a copy of.
  const knowing = manifests.filter(({ copyOf }) => copyOf === undefined || !ids.has(copyOf.id));
  const named = knowing.flatMap(({ relations }) => relations ?? []);
  const read = await mapBounded(named, READS_AT_ONCE, (object) =>
    repository.getJson<TableRelation[]>(object, signal),
  );
  return read.flatMap((relations) => relations ?? []).sort((a, b) => (a.at < b.at ? -1 : 1));
}

/**
 * Resolves names of tables in production, and where one is not there, again with what the backups know: so that a
 * dropped table can be named, and the backups are read only then.
 */
export async function orDropped<T>(
  resolve: (known: readonly TableRelation[]) => Promise<T>,
  readKnown: () => Promise<readonly TableRelation[]>,
): Promise<T> {
  try {
    return await resolve([]);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'UnknownTable') throw error;
    const known = await readKnown();
    if (known.length === 0) throw error;
    return resolve(known);
  }
}
