import { PassThrough, type Readable } from 'node:stream';
import { createZstdCompress } from 'node:zlib';
import type { LogFacts, LogPlace, LogShipping, ServerLog } from '../engines/contract/ship.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { logFolder, shippedFolder } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import { type LogRecord, writeLogRecord } from '../repository/shipped/logs.ts';
import { parseRecordKey, type ShippedLog, wholeSeconds } from '../repository/shipped/name.ts';
import { openSink } from '../repository/sink.ts';
import { abortUpload } from '../repository/uploads.ts';

export interface LogToShip {
  database: string;
  lineage: string;
  shipping: LogShipping;
  place: LogPlace;
  log: ServerLog;
  /** the last event of the log before it, ISO 8601; null: not known */
  after: string | null;
  /** when it was seen to be closed, by the server's clock */
  at: string;
  /** null: it is not locked */
  lockedUntil: string | null;
}

/** The content into objects of this attempt, then the record that makes it a log; and what people have to know of it. */
export async function shipLog(
  repository: Repository,
  one: LogToShip,
  run: Run,
): Promise<{ log: ShippedLog; begunAt: string; notices: string[] }> {
  const { database, lineage, shipping, place, log, lockedUntil } = one;
  const folder = shippedFolder(database, lineage, log.name);
  if (log.sizeBytes > SMALLEST_UPLOAD) await abortDeadUploads(repository, folder, run.signal);
  const sink = openSink(repository, folder, { lockedUntil, ...run });
  const content = await shipping.read({ ...place, log }, run);
  const [facts, objects] = await intoBoth(
    content,
    (read) => shipping.summarize(read, run),
    (compressed) => sink.put(`${attemptName()}.zst`, compressed, { expectedBytes: log.sizeBytes }),
  );
  const shippedAt = new Date().toISOString();
  const record: LogRecord = {
    ...{ formatVersion: 1, database, lineage, name: log.name, objects, lockedUntil, shippedAt },
    ...facts,
  };
  const key = await writeLogRecord(repository, record, timesOf(facts, one));
  const named = parseRecordKey(logFolder(database), key);
  if (named === null)
    throw new HoldfastError('ToolFailed', `log ${log.name} cannot be named in the repository`);
  return { log: { ...named, shippedAt }, begunAt: facts.createdAt, notices: facts.notices };
}

/**
 * When a log was begun and ended as it can be true. What a session has set as its own time (`SET TIMESTAMP`, as every
 * replay of logs through a client does) stands in the events that begin and end a log, too: measured, both flavours.
 */
export function timesOf(
  { createdAt, lastAt, committedAt }: Pick<LogFacts, 'createdAt' | 'lastAt' | 'committedAt'>,
  { after, at }: Pick<LogToShip, 'after' | 'at'>,
): Pick<LogFacts, 'createdAt' | 'lastAt'> {
  const isPast = (time: string | null) => time !== null && Date.parse(time) <= Date.parse(at);
  const latest = (times: (string | null)[]) =>
    times
      .filter((time) => time !== null && isPast(time))
      .toSorted((a, b) => before(a, b))
      .at(-1) ?? null;
  // Nothing in a log is older than the end of the one before it.
  const begun = isPast(createdAt) ? latest([createdAt, after]) : latest([after]);
  const ended = latest([begun, lastAt, committedAt]);
  return { createdAt: wholeSeconds(begun ?? ended ?? at), lastAt: wholeSeconds(ended ?? begun ?? at) };
}

const before = (a: string | null, b: string | null): number => Date.parse(a ?? '') - Date.parse(b ?? '');

/** Less than that goes up in one request, which leaves nothing. */
const SMALLEST_UPLOAD = 8 * 1024 * 1024;
/** No attempt lasts as long, at many GB. */
const DEAD_AFTER_MS = 86_400_000;

/** It begins with its time, so that another attempt knows one that has died from one that is under way beside it. */
const attemptName = (): string => `${Date.now()}-${Math.random().toString(36).slice(2, 10)}`;

async function abortDeadUploads(repository: Repository, folder: string, signal: AbortSignal): Promise<void> {
  for (const { key, uploadId } of await repository.uploads(folder)) {
    const begunAt = Number(/\/(\d+)-[^/]*$/.exec(key)?.[1] ?? 0);
    if (begunAt + DEAD_AFTER_MS > Date.now()) continue;
    await abortUpload(repository.connection, { key: repository.fullKey(key), uploadId }, signal);
  }
}

/**
 * At the pace of the slower reader; where anything fails, all of it ends, so that no half of a log is stored and nothing
 * goes on behind. Throws what failed first.
 */
async function intoBoth<A, B>(
  content: Readable,
  reads: (content: Readable) => Promise<A>,
  stores: (compressed: Readable) => Promise<B>,
): Promise<[A, B]> {
  const [read, compressed] = [new PassThrough(), createZstdCompress()];
  const streams = [content, read, compressed];
  const failures: unknown[] = [];
  const fail = (error: unknown) => {
    failures.push(error);
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const stream of streams) stream.destroy(reason);
  };
  for (const stream of streams) stream.on('error', fail);
  content.pipe(read);
  content.pipe(compressed);
  const watched = <T>(work: Promise<T>): Promise<T> => {
    work.catch(fail);
    return work;
  };
  const [facts, stored] = await Promise.allSettled([watched(reads(read)), watched(stores(compressed))]);
  if (facts.status === 'fulfilled' && stored.status === 'fulfilled') return [facts.value, stored.value];
  throw failures[0];
}
