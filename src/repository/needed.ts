import type { Manifest, StoredObject } from '../model/backup.ts';
import { mapBounded } from './bounded.ts';
import { snapshotFolder, toolArchiveFolder, toolBackupFolder } from './layout.ts';
import { parseLogFile } from './logs.ts';
import { objectsOf } from './objects.ts';
import type { ListedObject, Repository } from './repository.ts';

/** Names without their timeline; null: the base has no logs. */
export type LogsNeeded = { first: string; last: string } | null;

/** A base and the logs that are replayed from it. */
export interface ToolNeeded {
  stanza: string;
  /** the base, and what it depends on */
  backups: string[];
  serverMajor: number;
  timelines: { from: number; to: number };
  logs: LogsNeeded;
}

/** Everything of a snapshot; `named`: what of it is read in these versions, null: in the latest ones. */
export interface SnapshotNeeded {
  folder: string;
  named: readonly StoredObject[] | null;
}

export type Needed = ToolNeeded | SnapshotNeeded;

/** An object as it will be read: without a version, in the latest. */
export type NeededObject = ListedObject & { versionId?: string | null };

const LISTS_AT_ONCE = 16;
/**
 * PostgreSQL 15 and later read on beyond the target, up to wal_decode_buffer_size, and a log that they are refused ends
 * the replay: of logs with next to nothing in them that may be hundreds.
 */
const READ_AHEAD_BYTES = 1_048_576;

export function neededBy(
  manifest: Manifest,
  range: { stanza: string; timeline: number; lastLog: string | null },
): ToolNeeded {
  const { startLog, timeline } = manifest.positions;
  return {
    stanza: range.stanza,
    backups: [manifest.id, ...manifest.dependsOn],
    serverMajor: Number.parseInt(manifest.serverVersion, 10),
    timelines: { from: timeline ?? range.timeline, to: range.timeline },
    logs:
      startLog === null || range.lastLog === null
        ? null
        : { first: startLog.slice(8), last: range.lastLog.slice(8) },
  };
}

/** A snapshot is all that lies in its folder. */
export function neededBySnapshot(manifest: Manifest): SnapshotNeeded {
  const folder = snapshotFolder(manifest.database, manifest.id);
  return { folder, named: manifest.copyOf?.tier === 'logical' ? objectsOf(manifest) : null };
}

/** Every object that a restore reads, and, of a replay, what the server reads ahead. */
export function neededObjects(
  repository: Repository,
  needed: Needed,
  signal?: AbortSignal,
): Promise<NeededObject[]> {
  return 'folder' in needed
    ? ofSnapshot(repository, needed, signal)
    : toolObjects(repository, needed, signal, { ahead: true });
}

async function ofSnapshot(
  repository: Repository,
  { folder, named }: SnapshotNeeded,
  signal?: AbortSignal,
): Promise<NeededObject[]> {
  if (named === null) return listAll(repository, [folder], signal);
  const wanted = new Set(named.map(({ key, versionId }) => `${versionId ?? 'null'} ${key}`));
  const found: NeededObject[] = [];
  for await (const version of repository.versions(folder, signal)) {
    if (wanted.has(`${version.versionId ?? 'null'} ${version.key}`)) found.push(version);
  }
  return found;
}

/**
 * Every object that pgBackRest reads to restore these backups and to replay their logs, by listing alone. Of a backup
 * that others depend on it is all of it: which files a differential leaves there is written in its own manifest,
 * which may be archived too. History files are all taken: the
 * server asks for those of other timelines too.
 */
export async function toolObjects(
  repository: Repository,
  needed: ToolNeeded,
  signal?: AbortSignal,
  { ahead = false } = {},
): Promise<ListedObject[]> {
  const backups = toolBackupFolder(needed.stanza);
  const archive = toolArchiveFolder(needed.stanza);
  const whole = [
    ...needed.backups.map((backup) => `${backups}${backup}/`),
    ...[`${backups}backup.info`, `${archive}archive.info`],
  ];
  const found = [...(await listAll(repository, whole, signal))];
  for (const incarnation of await repository.folders(archive, signal)) {
    if (Number.parseInt(incarnation.slice(archive.length), 10) !== needed.serverMajor) continue;
    const folders = await repository.folders(incarnation, signal);
    const names = folders.map((folder) => folder.slice(incarnation.length, -1));
    const histories = [...new Set(names.map((name) => `${incarnation}${name.slice(0, 8)}.history`))];
    const ofRange = names.filter((name) => mayHold(needed, name)).map((name) => `${incarnation}${name}/`);
    const logs = await listAll(repository, [...histories, ...ofRange], signal);
    found.push(...logs.filter(({ key }) => isNeeded(needed, fileOf(key))));
    if (ahead) found.push(...(await readAhead(repository, needed, { incarnation, names, signal })));
  }
  return found;
}

/** The logs behind the last one that hold as much as the server reads ahead; a stored log holds at least its own size. */
async function readAhead(
  repository: Repository,
  { logs, timelines }: ToolNeeded,
  from: { incarnation: string; names: readonly string[]; signal: AbortSignal | undefined },
): Promise<ListedObject[]> {
  const found: ListedObject[] = [];
  if (logs === null) return found;
  let bytes = 0;
  const last = timelines.to.toString(16).toUpperCase().padStart(8, '0') + logs.last;
  for (const name of from.names.toSorted()) {
    if (name.slice(0, 8) !== last.slice(0, 8) || name < last.slice(0, 16)) continue;
    for await (const object of repository.list(`${from.incarnation}${name}/`, from.signal)) {
      const log = parseLogFile(fileOf(object.key));
      if (log?.kind !== 'segment' || log.name <= last) continue;
      found.push(object);
      bytes += object.sizeBytes;
      if (bytes >= READ_AHEAD_BYTES) return found;
    }
  }
  return found;
}

const fileOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

async function listAll(
  repository: Repository,
  prefixes: readonly string[],
  signal?: AbortSignal,
): Promise<ListedObject[]> {
  const lists = await mapBounded(prefixes, LISTS_AT_ONCE, async (prefix) => {
    const found: ListedObject[] = [];
    for await (const object of repository.list(prefix, signal)) found.push(object);
    return found;
  });
  return lists.flat();
}

/** A folder is named by the first 16 digits of the logs in it. Digits are of one width, so that text compares as numbers do. */
function mayHold({ logs, timelines }: ToolNeeded, folder: string): boolean {
  if (logs === null || !isWithin(timelines, folder)) return false;
  const high = folder.slice(8, 16);
  return logs.first.slice(0, 8) <= high && high <= logs.last.slice(0, 8);
}

function isNeeded({ logs, timelines }: ToolNeeded, file: string): boolean {
  const log = parseLogFile(file);
  if (log === null || log.kind === 'history') return log !== null;
  const number = log.name.slice(8);
  return logs !== null && isWithin(timelines, log.name) && logs.first <= number && number <= logs.last;
}

function isWithin({ from, to }: ToolNeeded['timelines'], name: string): boolean {
  const timeline = Number.parseInt(name.slice(0, 8), 16);
  return from <= timeline && timeline <= to;
}
