import type { ListedVersion } from '../repository.ts';

/** What stands between a reader and the version of a key that is to be read. */
export interface Covering {
  markers: ListedVersion[];
  /** the newer version that one would read without the markers; null: the good one itself */
  newer: ListedVersion | null;
}

/** Null where the good version is the one that is read. Versions are of one key, newest first. */
export function coveringOf(versions: readonly ListedVersion[], good: ListedVersion): Covering | null {
  if (good.isLatest) return null;
  const newest = versions.find(({ isDeleteMarker }) => !isDeleteMarker);
  return {
    // Times may be whole seconds: a marker of the same second is taken to be on top, and goes.
    markers: versions.filter(
      ({ isDeleteMarker, lastModified }) => isDeleteMarker && lastModified >= good.lastModified,
    ),
    newer: newest === undefined || newest === good ? null : newest,
  };
}

/** The version that one read at a moment; null: there was none, or a marker lay on it. */
export function versionAt(versions: readonly ListedVersion[], moment: string): ListedVersion | null {
  const there = versions.find(({ lastModified }) => lastModified <= moment);
  return there === undefined || there.isDeleteMarker ? null : there;
}

/** Of what is written once: whatever came later is something else. */
export function firstVersion(versions: readonly ListedVersion[]): ListedVersion | null {
  return versions.findLast(({ isDeleteMarker }) => !isDeleteMarker) ?? null;
}

/** Something was written over a key that had been removed. */
export function isOnRemoved(versions: readonly ListedVersion[]): boolean {
  return versions[0]?.isDeleteMarker === false && versions.some(({ isDeleteMarker }) => isDeleteMarker);
}
