import { mapBounded } from './bounded.ts';
import { toolArchiveFolder } from './layout.ts';
import type { Repository } from './repository.ts';

/** One file in pgBackRest's archive, known by its name alone. */
export interface ArchivedLog {
  /** `segment` is whole; `partial` ends where a timeline was left; the others hold no log */
  kind: 'segment' | 'partial' | 'history' | 'backup';
  /** 24 hexadecimal digits; 8 for a history file: the timeline that it tells the origin of */
  name: string;
  /** where the tool keeps it: two stanzas number their incarnations alike */
  stanza: string;
  /** the cluster's incarnation, `<major version>-<number>`: names of two of them say nothing about each other */
  archive: string;
  archivedAt: string;
  /** its key in the repository */
  key: string;
}

const LISTS_AT_ONCE = 16;
const ARCHIVE = /^\d+(?:\.\d+)?-\d+$/;
const LOG_FILE =
  /^(?:([0-9A-F]{24})(\.partial|\.[0-9A-F]{8}\.backup)?|([0-9A-F]{8})\.history)(?:-[0-9a-f]{40})?(?:\.(?:gz|lz4|zst|bz2))?$/;

/**
 * Every archived log of a stanza, by listing alone: a request for each folder of 256 segments, many at once,
 * so that tens of thousands take seconds.
 */
export async function listArchivedLogs(
  repository: Repository,
  stanza: string,
  signal?: AbortSignal,
): Promise<ArchivedLog[]> {
  const root = toolArchiveFolder(stanza);
  const found: ArchivedLog[] = [];
  for (const archive of await listArchives(repository, stanza, signal)) {
    const folders = await repository.folders(`${root}${archive}/`, signal);
    // History files lie in the archive's own folder, beside the others.
    const prefixes = [...folders, ...historyPrefixes(`${root}${archive}/`, folders)];
    const lists = await mapBounded(prefixes, LISTS_AT_ONCE, (prefix) =>
      listFolder(repository, prefix, { stanza, archive }, signal),
    );
    found.push(...lists.flat());
  }
  return found;
}

/** The incarnations that a stanza has logs of, by name. */
async function listArchives(repository: Repository, stanza: string, signal?: AbortSignal): Promise<string[]> {
  const root = toolArchiveFolder(stanza);
  return (await repository.folders(root, signal))
    .map((folder) => folder.slice(root.length, -1))
    .filter((name) => ARCHIVE.test(name));
}

/** The youngest of them; null: nothing was ever archived. */
export async function newestArchive(
  repository: Repository,
  stanza: string,
  signal?: AbortSignal,
): Promise<string | null> {
  return youngestOf(await listArchives(repository, stanza, signal));
}

/** Incarnations are numbered: `9.6-1`, `15-2`. */
export function youngestOf(archives: readonly string[]): string | null {
  const numberOf = (archive: string) => Number(archive.split('-')[1]);
  return archives.toSorted((a, b) => numberOf(b) - numberOf(a))[0] ?? null;
}

/**
 * What was archived behind a log, on its timeline and on later ones: keys are in the order of the names, whatever folder of
 * 256 they lie in, so that one request shows the news of a minute.
 */
export async function listLogsAfter(
  repository: Repository,
  { stanza, archive, log }: Pick<ArchivedLog, 'stanza' | 'archive'> & { log: string },
  signal?: AbortSignal,
): Promise<ArchivedLog[]> {
  const root = `${toolArchiveFolder(stanza)}${archive}/`;
  // A slash comes behind `-<sha1>.zst` and `.partial`, and before every digit: the log's own files are left out.
  const after = `${root}${log.slice(0, 16)}/${log}/`;
  return listFolder(repository, root, { stanza, archive }, signal, after);
}

/** Timelines that have segments, by name: listing the archive's own folder would list everything below. */
function historyPrefixes(root: string, folders: readonly string[]): string[] {
  const timelines = new Set(folders.map((folder) => folder.slice(root.length, root.length + 8)));
  return [...timelines].map((timeline) => `${root}${timeline}.history`);
}

async function listFolder(
  repository: Repository,
  prefix: string,
  place: Pick<ArchivedLog, 'stanza' | 'archive'>,
  signal?: AbortSignal,
  after?: string,
): Promise<ArchivedLog[]> {
  const found: ArchivedLog[] = [];
  for await (const { key, lastModified } of repository.list(prefix, signal, after)) {
    const log = parseLogFile(key.slice(key.lastIndexOf('/') + 1));
    if (log !== null) found.push({ ...log, ...place, archivedAt: lastModified, key });
  }
  return found;
}

/** What a file name in the archive means; null for what is no log, such as `archive.info`. */
export function parseLogFile(name: string): Pick<ArchivedLog, 'kind' | 'name'> | null {
  const parts = LOG_FILE.exec(name);
  if (parts === null) return null;
  const [, segment, suffix, history] = parts;
  if (history !== undefined) return { kind: 'history', name: history };
  if (segment === undefined) return null;
  if (suffix === undefined) return { kind: 'segment', name: segment };
  return { kind: suffix === '.partial' ? 'partial' : 'backup', name: segment };
}
