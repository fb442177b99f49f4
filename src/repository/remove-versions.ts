import { HoldfastError } from '../model/failure.ts';
import type { ListedVersion, Repository } from './repository.ts';
import { byKey } from './stacks.ts';

/**
 * Removes versions and delete markers for good, as they are listed. Where the credentials may not remove a version a
 * delete marker lies on top of it, and lifecycle rules do the rest. Returns the keys of which something was removed.
 */
export async function removeVersions(
  repository: Repository,
  versions: AsyncIterable<ListedVersion>,
): Promise<string[]> {
  const removed: string[] = [];
  for await (const { key, versions: same } of byKey(versions))
    if (await removeKey(repository, key, same)) removed.push(key);
  return removed;
}

/** Markers go last, and only when nothing is left under them: without them it would be seen again. */
async function removeKey(
  repository: Repository,
  key: string,
  versions: readonly ListedVersion[],
): Promise<boolean> {
  let removed = false;
  let isKept = false;
  const remove = async ({ versionId }: ListedVersion) => {
    if (await mayRemove(repository, key, versionId)) removed = true;
    else isKept = true;
  };
  for (const version of versions) if (!version.isDeleteMarker) await remove(version);
  if (!isKept) {
    for (const version of versions) if (version.isDeleteMarker) await remove(version);
  } else if (!versions.some(({ isLatest, isDeleteMarker }) => isLatest && isDeleteMarker)) {
    await repository.remove(key);
    removed = true;
  }
  return removed;
}

async function mayRemove(repository: Repository, key: string, versionId: string | null): Promise<boolean> {
  try {
    await repository.remove(key, versionId);
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'RepositoryRefused') return false;
    throw error;
  }
}
