import { HoldfastError } from '../model/failure.ts';
import type { ListedVersion, Repository } from './repository.ts';

/**
 * Removes a version or a delete marker for good. Where the credentials may not, a delete marker lies on top of the
 * latest, and lifecycle rules do the rest. Whether there was something to remove.
 */
export async function removeVersion(repository: Repository, version: ListedVersion): Promise<boolean> {
  try {
    await repository.remove(version.key, version.versionId);
    return true;
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'RepositoryRefused') throw error;
    if (!version.isLatest || version.isDeleteMarker) return false;
    await repository.remove(version.key);
    return true;
  }
}
