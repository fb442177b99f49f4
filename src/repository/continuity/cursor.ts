import { usableBases } from '../bases.ts';
import { readRecoverability } from '../catalog.ts';
import { indexLogs, nameOf, stretchesFrom } from '../chain.ts';
import { continuityOf } from '../continuity.ts';
import type { History } from '../history.ts';
import { manifestFolder } from '../layout.ts';
import { type ArchivedLog, youngestOf } from '../logs.ts';
import type { Repository } from '../repository.ts';
import type { LogPlace, LogRun } from './classify.ts';

/** Where a round of the watcher left off, so that the next one lists only what was archived since. Small: it travels. */
export interface LogCursor {
  stanza: string;
  archive: string;
  segmentBytes: number;
  /** everything up to here is archived, or known to be lost */
  seenUpTo: LogPlace;
  /** a replay from the newest base reaches it; false: something is lost since that base, or there is none */
  anchored: boolean;
  recoverableAt: string | null;
  /** when the newest manifest was written: a new base may stand behind what is lost */
  manifestsAt: string | null;
  /** when the whole archive was listed */
  readAt: string;
  /** holes of the round before */
  holes: LogRun[];
}

/** Where a round begins, and what is archived behind it. */
export interface Beginning {
  cursor: LogCursor;
  news: ArchivedLog[];
  /** everything was read just now: `recoverableAt` is of now */
  isFresh: boolean;
}

/** Reads everything, as the catalog does, to begin with. Null: nothing was archived yet. */
export async function anchor(
  repository: Repository,
  database: string,
  { history, now, signal }: { history: History; now: Date; signal?: AbortSignal },
): Promise<Beginning | null> {
  // Before the manifests themselves: one that is written meanwhile is a reason to read again.
  const manifestsAt = await newestManifestAt(repository, database, signal);
  const known = await readRecoverability(repository, database, history, signal);
  const index = indexLogs(known);
  const archives = index.archives.filter(({ stanza }) => stanza === history.stanza);
  const archive = youngestOf(archives.map((one) => one.archive));
  const youngest = archives.filter((one) => one.archive === archive);
  const timelines = youngest[0]?.timelines ?? new Map();
  const newest = Math.max(...timelines.keys());
  const end = timelines.get(newest)?.at(-1);
  if (archive === null || end === undefined) return null;
  const reached = usableBases(known.manifests)
    .flatMap((base) => stretchesFrom(base, { ...index, archives: youngest }))
    .toSorted((a, b) => a.timeline - b.timeline || a.last - b.last)
    .at(-1);
  const { segmentBytes } = index;
  // Without a base nothing can be lost, and there is nothing to be seen before now.
  const seenUpTo =
    reached === undefined
      ? { timeline: newest, number: end.last }
      : { timeline: reached.timeline, number: reached.last };
  const cursor: LogCursor = {
    ...{ stanza: history.stanza, archive, segmentBytes, seenUpTo },
    anchored: reached !== undefined,
    recoverableAt: continuityOf(known, now).lastRecoverableAt,
    manifestsAt,
    readAt: now.toISOString(),
    holes: [],
  };
  const last = nameOf(seenUpTo.timeline, seenUpTo.number, segmentBytes);
  const news = known.segments.filter(
    (log) => log.stanza === history.stanza && log.archive === archive && log.name > last,
  );
  return { cursor, news, isFresh: true };
}

/** By S3's own clock; null: there is no manifest. */
export async function newestManifestAt(
  repository: Repository,
  database: string,
  signal?: AbortSignal,
): Promise<string | null> {
  let newest: string | null = null;
  for await (const { lastModified } of repository.list(manifestFolder(database), signal)) {
    if (newest === null || lastModified > newest) newest = lastModified;
  }
  return newest;
}
