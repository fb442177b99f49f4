import type { Manifest } from '../model/backup.ts';
import { mapBounded } from './bounded.ts';
import { isNotFound } from './failure.ts';
import { manifestKey } from './layout.ts';
import type { Repository } from './repository.ts';
import { readRetention } from './retention.ts';

const ASKED_AT_ONCE = 16;

/** Ids of the backups that a person holds: a legal hold lies on the manifest. One request for each backup. */
export async function readLegalHolds(
  repository: Repository,
  manifests: readonly Pick<Manifest, 'database' | 'id'>[],
): Promise<Set<string>> {
  const held = await mapBounded(manifests, ASKED_AT_ONCE, async ({ database, id }) => {
    try {
      const key = manifestKey(database, id);
      return (await readRetention(repository, { key, versionId: null })).legalHold ? [id] : [];
    } catch (error) {
      // Below a delete marker: the hold of an earlier version is for the audit to tell.
      if (isNotFound(error)) return [];
      throw error;
    }
  });
  return new Set(held.flat());
}
