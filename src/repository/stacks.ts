import type { ListedVersion, ReadableObject, Repository } from './repository.ts';

/** Versions and markers of one key together, as they are listed: newest first. */
export async function* byKey(
  versions: AsyncIterable<ListedVersion>,
): AsyncGenerator<{ key: string; versions: ListedVersion[] }> {
  let same: ListedVersion[] = [];
  for await (const version of versions) {
    const key = same[0]?.key;
    if (key !== undefined && key !== version.key) {
      yield { key, versions: same };
      same = [];
    }
    same.push(version);
  }
  if (same[0] !== undefined) yield { key: same[0].key, versions: same };
}

/** What whoever reads by key finds below a prefix, each in the version of now. */
export async function currentVersions(
  repository: Repository,
  prefix: string,
  signal: AbortSignal,
): Promise<ListedVersion[]> {
  const found: ListedVersion[] = [];
  for await (const version of repository.versions(prefix, signal)) {
    if (version.isLatest && !version.isDeleteMarker) found.push(version);
  }
  return found;
}

/** A listed version as it is read: what a bucket has from before it kept versions is listed as `null`. */
export const inVersion = ({ key, versionId }: Pick<ListedVersion, 'key' | 'versionId'>): ReadableObject => ({
  key,
  versionId: versionId === 'null' ? null : versionId,
});
