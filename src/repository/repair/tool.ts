import type { Manifest } from '../../model/backup.ts';
import { toolArchiveFolder, toolBackupFolder } from '../layout.ts';
import { parseLogFile } from '../logs.ts';
import type { StoredManifest } from '../manifests.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import type { Area, Good, Judgement } from './area.ts';
import { firstVersion, isOnRemoved, versionAt } from './key.ts';
import { nameOf } from './own.ts';
import { neededBackups, neededLogs, type ToolKeeps } from './physical.ts';
import { type InfoFile, labelsOf, readInfoFile } from './tool-file.ts';

/** A stanza of a database, and every backup that there ever was in it. */
export interface StanzaToRepair {
  database: string;
  stanza: string;
  stored: NonNullable<StoredManifest['good']>[];
  keeps: ToolKeeps;
  /** of the tool's own encryption */
  passphrase: string | null;
  now: Date;
}

export interface ToolTree {
  /** backups of the stanza that are still needed */
  needed: Manifest[];
  areas: Area[];
}

/** What is to be read of one stanza: the tool knows no versions, so that a marker is the end of an object to it. */
export async function toolTree(
  repository: Repository,
  { database, stanza, stored, keeps, passphrase, now }: StanzaToRepair,
  signal?: AbortSignal,
): Promise<ToolTree> {
  const [backups, archive] = [toolBackupFolder(stanza), toolArchiveFolder(stanza)];
  const manifests = stored.map(({ manifest }) => manifest);
  const neededWith = (info: InfoFile | null) =>
    neededBackups(manifests, { listed: new Set(info === null ? [] : labelsOf(info)), now }, keeps);

  const files = new Map<string, Good>();
  const keep = (version: ListedVersion | null) => {
    if (version !== null)
      files.set(version.key, { version, of: `the tool's records of ${stanza}`, lockedUntil: null });
  };
  const read = (key: string) => readVersions(repository, key, passphrase, signal);
  const infos = await read(`${backups}backup.info`);
  const needed = neededWith(infos[0]?.info ?? null);
  for (const name of ['backup.info', 'backup.info.copy'])
    keep(mostComplete(await read(`${backups}${name}`), needed));
  for (const name of ['archive.info', 'archive.info.copy'])
    keep((await read(`${archive}${name}`))[0]?.version ?? null);

  const published = new Map(stored.map(({ manifest, version }) => [manifest.id, version.lastModified]));
  const newest = [...published.keys()].sort().at(-1) ?? '';
  const byLabel = new Map(needed.map((manifest) => [manifest.id, manifest]));
  const isNeeded = neededLogs(needed, manifests, keeps);
  const backupOf = (key: string, versions: readonly ListedVersion[]): Judgement => {
    const label = key.slice(backups.length).split('/')[0] ?? '';
    const manifest = byLabel.get(label);
    // The tool would take what it finds there for a backup of its own. One that is under way may write a key anew.
    if (manifest === undefined && label < newest && isOnRemoved(versions))
      return { gone: `expired backups of ${database}` };
    if (manifest === undefined) return files.get(key) ?? null;
    // Written before the manifest was, and never again.
    const version = versionAt(versions, published.get(manifest.id) ?? '');
    return version === null ? null : { version, of: nameOf(manifest), lockedUntil: manifest.lockedUntil };
  };
  const logOf = (key: string, versions: readonly ListedVersion[]): Judgement => {
    const [incarnation = '', ...path] = key.slice(archive.length).split('/');
    const log = parseLogFile(path.at(-1) ?? '');
    if (log === null) return files.get(key) ?? null;
    const version = log.kind === 'history' || isNeeded(incarnation, log.name) ? firstVersion(versions) : null;
    if (version !== null) return { version, of: `logs of ${database}`, lockedUntil: null };
    return isOnRemoved(versions) ? { gone: `expired logs of ${database}` } : null;
  };
  return {
    needed,
    areas: [
      { prefix: backups, goodOf: backupOf },
      { prefix: archive, goodOf: logOf },
    ],
  };
}

interface InfoVersion {
  version: ListedVersion;
  info: InfoFile;
}

/** Those that the tool would take, newest first. There are few: each backup writes one. */
async function readVersions(
  repository: Repository,
  key: string,
  passphrase: string | null,
  signal?: AbortSignal,
): Promise<InfoVersion[]> {
  const found: InfoVersion[] = [];
  for await (const version of repository.versions(key, signal)) {
    if (version.key !== key || version.isDeleteMarker) continue;
    const pieces: Buffer[] = [];
    for await (const piece of repository.stream(version, signal) as AsyncIterable<Buffer>) pieces.push(piece);
    const info = readInfoFile(Buffer.concat(pieces), passphrase);
    if (info !== null) found.push({ version, info });
  }
  return found;
}

/**
 * The newest version, or one before it that knows all that this one knows of what is needed, and more: a tool that was run
 * to harm has written one that knows less.
 */
function mostComplete(versions: readonly InfoVersion[], needed: readonly Manifest[]): ListedVersion | null {
  const known = versions.map(({ version, info }) => {
    const labels = new Set(labelsOf(info));
    return { version, ids: new Set(needed.map(({ id }) => id).filter((id) => labels.has(id))) };
  });
  const fits = known.filter(({ ids }) => [...(known[0]?.ids ?? [])].every((id) => ids.has(id)));
  const most = Math.max(...fits.map(({ ids }) => ids.size));
  return fits.find(({ ids }) => ids.size === most)?.version ?? null;
}
