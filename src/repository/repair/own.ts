import type { Manifest, StoredObject } from '../../model/backup.ts';
import { manifestFolder, manifestKey, SNAPSHOT_FOLDER, snapshotFolder } from '../layout.ts';
import type { StoredManifest } from '../manifests.ts';
import { objectsOf } from '../objects.ts';
import type { ListedVersion } from '../repository.ts';
import type { Area, Good } from './area.ts';
import { versionAt } from './key.ts';

type Stored = NonNullable<StoredManifest['good']>;

/**
 * What our own backups of a database name, in the versions that they name. A restore finds those below whatever lies on top;
 * lifecycle does not: what is not current goes sooner.
 */
export function ownAreas(database: string, needed: readonly Stored[]): Area[] {
  const manifests = new Map(needed.map((one) => [manifestKey(database, one.manifest.id), one]));
  const objects = new Map(
    needed.flatMap(({ manifest }) => objectsOf(manifest).map((object) => [object.key, { manifest, object }])),
  );
  const snapshots = needed
    .filter(({ manifest }) => manifest.tier === 'snapshot')
    .map((stored) => ({ folder: snapshotFolder(database, stored.manifest.id), ...stored }));

  const goodOf: Area['goodOf'] = (key, versions) => {
    const stored = manifests.get(key);
    if (stored !== undefined) return goodFor(stored.manifest, versionLike(versions, stored.version));
    const named = objects.get(key);
    if (named !== undefined) {
      const version = versionLike(versions, named.object);
      return version === undefined ? { lost: nameOf(named.manifest) } : goodFor(named.manifest, version);
    }
    // A tool's tree within a snapshot is the tool's: the manifest names none of its files.
    const snapshot = snapshots.find(({ folder }) => key.startsWith(folder));
    if (snapshot === undefined) return null;
    return goodFor(snapshot.manifest, versionAt(versions, snapshot.version.lastModified) ?? undefined);
  };
  const prefixes = [`logical/${database}/`, `${SNAPSHOT_FOLDER}${database}/`, manifestFolder(database)];
  return prefixes.map((prefix) => ({
    ...{ prefix, goodOf },
    expected: new Map(
      [...objects]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, { manifest }]) => [key, nameOf(manifest)]),
    ),
  }));
}

/** `full 20260131-140500F of shop`, `logical 20260131T140500Z of shop`. */
export function nameOf({ tier, kind, id, database }: Manifest): string {
  return `${tier === 'physical' ? kind : tier} ${id} of ${database}`;
}

function goodFor(manifest: Manifest, version: ListedVersion | undefined): Good | null {
  if (version === undefined) return null;
  return { version, of: nameOf(manifest), lockedUntil: manifest.lockedUntil };
}

function versionLike(
  versions: readonly ListedVersion[],
  { versionId }: Pick<StoredObject, 'versionId'>,
): ListedVersion | undefined {
  return versions.find(
    (version) => !version.isDeleteMarker && (version.versionId ?? 'null') === (versionId ?? 'null'),
  );
}
