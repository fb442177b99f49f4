import type { LogGap } from '../../model/backup.ts';
import type { LostLogs } from '../../model/gap.ts';
import { acknowledge, readAcknowledgements } from '../acknowledgements.ts';
import { usableBases } from '../bases.ts';
import { nameOf, numberOf } from '../chain.ts';
import { type Heartbeat, listHeartbeats } from '../heartbeats.ts';
import type { History } from '../history.ts';
import { listLogsAfter, newestArchive } from '../logs.ts';
import { listManifests } from '../manifests.ts';
import type { Repository } from '../repository.ts';
import type { ShippedCursor } from '../shipped/round.ts';
import { type Classified, classifySegments, type Hole, type LogPlace, type LogRun } from './classify.ts';
import { anchor, type Beginning, type LogCursor, newestManifestAt } from './cursor.ts';
import { lostGaps } from './gaps.ts';

/** What the repository says of the logs of one database in one round. */
export interface LogRound<Cursor = LogCursor | ShippedCursor> {
  /** null: nothing was archived yet */
  cursor: Cursor | null;
  timeline: number | null;
  /** the last log that nothing is missing before; null where nothing is archived */
  archivedUpTo: string | null;
  inFlight: LostLogs[];
  /** seen to be lost in this round; those that nobody has to do anything about left out */
  lost: LogGap[];
  /** the newest moment that can be recovered, measured */
  recoverableAt: string | null;
}

export interface LookOptions {
  history: History;
  /** of the round before; null: there was none */
  cursor: LogCursor | null;
  /** names of complete logs that wait on the server; null: it could not be asked */
  ready: readonly string[] | null;
  now: Date;
  settleMs: number;
  /** a database that is that late is read from the beginning again, now and then: a cursor may be of another server */
  lateMs: number;
  signal?: AbortSignal;
}

const READ_AGAIN_MS = 10 * 60_000;

/**
 * Looks at what was archived since the round before. A moment counts as recoverable where the log of a heartbeat after it,
 * and everything since the newest base, is archived.
 */
export async function lookAtLogs(
  repository: Repository,
  database: string,
  options: LookOptions,
): Promise<LogRound<LogCursor>> {
  const { now, signal } = options;
  const beginning = await begin(repository, database, options);
  if (beginning === null) return NOTHING;
  const { cursor, news } = beginning;
  const { segmentBytes } = cursor;
  const classified = classifySegments({
    from: cursor.seenUpTo,
    archived: news.flatMap(({ kind, name, archivedAt }) => {
      const place = kind === 'segment' ? placeOf(name, segmentBytes) : null;
      return place === null ? [] : [{ ...place, archivedAt: Date.parse(archivedAt) }];
    }),
    ready: options.ready?.flatMap((name) => placeOf(name, segmentBytes) ?? []) ?? null,
    before: cursor.holes,
    now: now.getTime(),
    settleMs: options.settleMs,
  });
  const lost = classified.timelines.flatMap((one) => one.lost);
  const recoverableAt = beginning.isFresh
    ? cursor.recoverableAt
    : await measure(repository, database, { cursor, classified, signal });
  const proven = provenUpTo(classified, cursor.seenUpTo);
  const last = [...proven].at(-1) ?? [cursor.seenUpTo.timeline, cursor.seenUpTo.number];
  return {
    cursor: {
      ...cursor,
      seenUpTo: classified.seenUpTo,
      anchored: cursor.anchored && lost.length === 0,
      recoverableAt,
      holes: classified.holes,
    },
    timeline: classified.timelines.at(-1)?.timeline ?? null,
    archivedUpTo: nameOf(last[0], last[1], segmentBytes),
    inFlight: classified.timelines.flatMap((one) => one.inFlight).map((run) => named(run, segmentBytes)),
    lost: lost.length === 0 ? [] : await gapsOfConcern(repository, database, { lost, segmentBytes, signal }),
    recoverableAt,
  };
}

const NOTHING: LogRound<LogCursor> = {
  ...{ cursor: null, timeline: null, archivedUpTo: null, inFlight: [], lost: [], recoverableAt: null },
};

/** From the cursor of the round before, or from everything where it does not tell the truth any more. */
async function begin(
  repository: Repository,
  database: string,
  options: LookOptions,
): Promise<Beginning | null> {
  const { cursor, history, now, lateMs, signal } = options;
  if (cursor === null || cursor.stanza !== history.stanza) return anchor(repository, database, options);
  const isLate = cursor.recoverableAt !== null && now.getTime() - Date.parse(cursor.recoverableAt) > lateMs;
  if (isLate && now.getTime() - Date.parse(cursor.readAt) > READ_AGAIN_MS) {
    return anchor(repository, database, options);
  }
  if (!cursor.anchored && (await newestManifestAt(repository, database, signal)) !== cursor.manifestsAt) {
    return anchor(repository, database, options);
  }
  const { stanza, archive, seenUpTo, segmentBytes } = cursor;
  const log = nameOf(seenUpTo.timeline, seenUpTo.number, segmentBytes);
  const news = await listLogsAfter(repository, { stanza, archive, log }, signal);
  // Nothing is archived here any more, perhaps because the cluster was replaced.
  if (news.length === 0 && (await newestArchive(repository, stanza, signal)) !== archive) {
    return anchor(repository, database, options);
  }
  return { cursor, news, isFresh: false };
}

/** The newest heartbeat among the logs that nothing is missing before. */
async function measure(
  repository: Repository,
  database: string,
  {
    cursor,
    classified,
    signal,
  }: { cursor: LogCursor; classified: Classified; signal: AbortSignal | undefined },
): Promise<string | null> {
  const { recoverableAt, anchored, segmentBytes } = cursor;
  if (!anchored || recoverableAt === null) return recoverableAt;
  const proven = provenUpTo(classified, cursor.seenUpTo);
  const holds = ({ log, timeline }: Heartbeat) => {
    const number = numberOf(log, segmentBytes);
    return number !== null && number <= (proven.get(timeline) ?? -1);
  };
  const options = { since: recoverableAt, ...(signal === undefined ? {} : { signal }) };
  const newest = (await listHeartbeats(repository, database, options)).filter(holds).at(-1);
  // Recovery to a time needs a commit after it.
  const at = newest === undefined ? Number.NEGATIVE_INFINITY : Date.parse(newest.at) - 1;
  return new Date(Math.max(Date.parse(recoverableAt), at)).toISOString();
}

/** Up to which log of each timeline a replay gets; a later timeline counts where it goes on from what is proven. */
export function provenUpTo({ timelines }: Classified, from: LogPlace): Map<number, number> {
  const proven = new Map<number, number>();
  let reach = from.number;
  for (const { timeline, archivedFrom, archivedUpTo } of timelines) {
    if (archivedUpTo === null || (archivedFrom !== null && archivedFrom > reach + 1)) continue;
    reach = archivedUpTo;
    proven.set(timeline, archivedUpTo);
  }
  return proven;
}

/** Without what the tool has expired itself, and with what is known of each: a base behind it, a person who knows of it. */
async function gapsOfConcern(
  repository: Repository,
  database: string,
  { lost, segmentBytes, signal }: { lost: Hole[]; segmentBytes: number; signal: AbortSignal | undefined },
): Promise<LogGap[]> {
  const gaps = lost.map((hole) => ({
    ...named(hole, segmentBytes),
    ...{ after: null, before: new Date(hole.since).toISOString() },
  }));
  const bases = usableBases(await listManifests(repository, database));
  const known = await readAcknowledgements(repository, database, signal);
  return acknowledge(lostGaps(gaps, bases, segmentBytes), known);
}

function placeOf(name: string, segmentBytes: number): LogPlace | null {
  const number = numberOf(name, segmentBytes);
  return number === null ? null : { timeline: Number.parseInt(name.slice(0, 8), 16), number };
}

function named({ timeline, first, last }: LogRun, segmentBytes: number): LostLogs {
  return {
    timeline,
    firstMissing: nameOf(timeline, first, segmentBytes),
    lastMissing: nameOf(timeline, last, segmentBytes),
    count: last - first + 1,
  };
}
