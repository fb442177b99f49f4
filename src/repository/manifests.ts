import type { Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { mapBounded } from './bounded.ts';
import { manifestFolder, manifestKey } from './layout.ts';
import type { ListedVersion, Repository } from './repository.ts';
import { inVersion } from './stacks.ts';

const READS_AT_ONCE = 16;

/**
 * Publishes a backup, once: everything that the manifest names has to be in the repository before. False where
 * another attempt was first; its manifest stays, since whoever loses removes what only its own names.
 */
export async function writeManifest(repository: Repository, manifest: Manifest): Promise<boolean> {
  return repository.create(
    manifestKey(manifest.database, manifest.id),
    `${JSON.stringify(manifest, null, 2)}\n`,
    {
      contentType: 'application/json',
      lockedUntil: manifest.lockedUntil,
    },
  );
}

/** The manifest of a backup, also below a delete marker or a forged newer version; null: there is none. */
export async function readManifest(
  repository: Repository,
  database: string,
  backup: string,
): Promise<Manifest | null> {
  const key = manifestKey(database, backup);
  const versions: ListedVersion[] = [];
  for await (const version of repository.versions(key)) if (version.key === key) versions.push(version);
  return (await firstValid(repository, versions))?.manifest ?? null;
}

/** A backup as the repository has it: its manifest, with everything that lies on its key, newest first. */
export interface StoredManifest {
  key: string;
  backup: string;
  versions: ListedVersion[];
  /** null: none of the versions is a manifest */
  good: { manifest: Manifest; version: ListedVersion } | null;
  /** a delete marker lies on the newest one that is a manifest, whatever else was written over that */
  isRemoved: boolean;
}

/** Of every backup that a database ever had, as far as versions are left. */
export async function storedManifests(
  repository: Repository,
  database: string,
  signal?: AbortSignal,
): Promise<StoredManifest[]> {
  const byKey = new Map<string, ListedVersion[]>();
  const folder = manifestFolder(database);
  for await (const version of repository.versions(folder, signal)) {
    // What a backup keeps beside its manifest lies in a folder of its own.
    if (!version.key.endsWith('.json') || version.key.includes('/', folder.length)) continue;
    byKey.set(version.key, [...(byKey.get(version.key) ?? []), version]);
  }
  return mapBounded([...byKey], READS_AT_ONCE, async ([key, versions]) => ({
    ...{ key, backup: key.slice(folder.length, -'.json'.length), versions },
    good: await firstValid(repository, versions),
    isRemoved: await isRemoved(repository, versions),
  }));
}

/** What the manifests of a database are: those that can be read, newest first, and those that cannot. */
export interface Manifests {
  manifests: Manifest[];
  unreadable: { backup: string; writtenAt: string }[];
}

/** Every backup of a database, newest first. */
export async function listManifests(
  repository: Repository,
  database: string,
  now: Date = new Date(),
): Promise<Manifest[]> {
  return (await readManifests(repository, database, now)).manifests;
}

/**
 * One whose manifest lies below a delete marker counts while its lock lasts: nobody had the right to remove it before. Of
 * physical ones only those that the tool's expiry cannot have taken: it lays the same markers.
 */
export async function readManifests(
  repository: Repository,
  database: string,
  now: Date = new Date(),
): Promise<Manifests> {
  const unreadable: Manifests['unreadable'] = [];
  const stored = await storedManifests(repository, database);
  const kept = newestFulls(stored.flatMap(({ good }) => good?.manifest ?? []));
  const manifests = stored.map(({ backup, versions, good, isRemoved }) => {
    const manifest = good?.manifest ?? null;
    const isLocked = manifest?.lockedUntil != null && Date.parse(manifest.lockedUntil) > now.getTime();
    if (isRemoved && !(isLocked && manifest !== null && !mayHaveExpired(manifest, kept))) return null;
    // Lifecycle rules may have removed its objects already.
    if (manifest?.expiresAt !== undefined && Date.parse(manifest.expiresAt) <= now.getTime()) return null;
    const writtenAt = versions.find(({ isLatest }) => isLatest)?.lastModified;
    if (manifest === null && writtenAt !== undefined) unreadable.push({ backup, writtenAt });
    return manifest;
  });
  return {
    manifests: manifests
      .filter((manifest) => manifest !== null)
      .sort((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt)),
    unreadable,
  };
}

/** No configuration lets the tool keep fewer fulls of a stanza. */
const LEAST_FULLS = 2;

function newestFulls(manifests: readonly Manifest[]): Set<string> {
  const fulls = manifests
    .filter(({ tier, kind }) => tier === 'physical' && kind === 'full')
    .sort((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
  const byStanza = [...Map.groupBy(fulls, ({ stanza }) => stanza).values()];
  return new Set(byStanza.flatMap((ofStanza) => ofStanza.slice(0, LEAST_FULLS).map(({ id }) => id)));
}

function mayHaveExpired({ tier, kind, id, dependsOn }: Manifest, kept: ReadonlySet<string>): boolean {
  if (tier !== 'physical') return false;
  return kind === 'full' ? !kept.has(id) : !dependsOn.every((one) => kept.has(one));
}

/**
 * Takes a backup out of the catalog. Its versions are removed for good where the credentials may; otherwise a
 * delete marker lies on top, and lifecycle rules do the rest.
 */
export async function removeManifest(
  repository: Repository,
  database: string,
  backup: string,
): Promise<void> {
  const key = manifestKey(database, backup);
  await repository.remove(key);
  try {
    for await (const version of repository.versions(key)) {
      if (version.key === key && !version.isDeleteMarker) await repository.remove(key, version.versionId);
    }
    for await (const version of repository.versions(key)) {
      if (version.key === key) await repository.remove(key, version.versionId);
    }
  } catch (error) {
    if (!(error instanceof HoldfastError && error.type === 'RepositoryRefused')) throw error;
  }
}

/** A manifest is written once: whatever is newer than the first one is not what the backup was made with. */
async function firstValid(
  repository: Repository,
  versions: readonly ListedVersion[],
): Promise<StoredManifest['good']> {
  for (const version of versions.toReversed()) {
    const manifest = version.isDeleteMarker ? null : await manifestIn(repository, version);
    if (manifest !== null) return { manifest, version };
  }
  return null;
}

async function isRemoved(repository: Repository, versions: readonly ListedVersion[]): Promise<boolean> {
  if (!versions.some(({ isDeleteMarker }) => isDeleteMarker)) return false;
  for (const version of versions) {
    if (version.isDeleteMarker) return true;
    if ((await manifestIn(repository, version)) !== null) return false;
  }
  return false;
}

/** Null for what is none, or that of another backup. */
async function manifestIn(repository: Repository, version: ListedVersion): Promise<Manifest | null> {
  const manifest = parseManifest(await repository.getText(inVersion(version)));
  return manifest !== null && manifestKey(manifest.database, manifest.id) === version.key ? manifest : null;
}

/** Null for what is no manifest, or one of a newer Holdfast. */
function parseManifest(text: string | null): Manifest | null {
  try {
    const value = JSON.parse(text ?? 'null') as Partial<Manifest> | null;
    return value?.formatVersion === 1 ? (value as Manifest) : null;
  } catch {
    return null;
  }
}
