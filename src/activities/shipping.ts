import { PassThrough, type Readable, type Writable } from 'node:stream';
import { createZstdCompress } from 'node:zlib';
import type { LogReport } from '../engines/contract/backup.ts';
import type { LogPlace, LogShipping, LogSurvey, ServerLog } from '../engines/contract/ship.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { logFolder, shippedFolder } from '../repository/layout.ts';
import { listManifests } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { shippedBases } from '../repository/shipped/chain.ts';
import {
  type LogRecord,
  listShippedLogs,
  readLogRecord,
  writeLogRecord,
} from '../repository/shipped/logs.ts';
import {
  generationOf,
  lineageOf,
  numberOf,
  parseRecordKey,
  type ShippedLog,
  serverOf,
} from '../repository/shipped/name.ts';
import { openSink } from '../repository/sink.ts';
import { databaseOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { lockDate } from './locking.ts';

/** One more is not begun after this: the other databases of the host want their round too. */
const PATIENCE_MS = 30_000;

/**
 * Brings what the server has closed into the repository, oldest first, and never removes anything from the server. A log
 * whose record is there is shipped: one that was lost in the repository is brought again while the server still has it.
 */
export async function shipLogs(
  deps: Dependencies,
  repository: Repository,
  database: string,
  run: Run,
): Promise<LogReport> {
  const { engine, config, tiers } = databaseOf(deps, database);
  if (engine.logs.kind !== 'shipped') {
    throw new HoldfastError('NotSupported', `the logs of ${database} are archived by its server`);
  }
  const shipping = engine.logs;
  const place: LogPlace = {
    access: await productionAccess(deps, database),
    directory: config.mysql?.logDirectory ?? null,
  };
  const survey = await shipping.survey({ ...place, maxAgeMs: tiers.log?.maxAgeMs ?? null }, run);
  const server = serverOf(lineageOf(survey.systemIdentifier, 1));
  const known = await listShippedLogs(repository, database, { signal: run.signal });
  const own = newestLineage(known.filter(({ lineage }) => serverOf(lineage) === server));
  const isAnew = await countsAnew(repository, survey, own, run.signal);
  const base = shippedBases(await listManifests(repository, database))[0];
  const waiting = waitingLogs(survey, isAnew ? [] : own, isAnew ? null : (base?.positions.startLog ?? null));
  const newest = own[0] === undefined ? 0 : generationOf(own[0].lineage);
  const lineage = lineageOf(survey.systemIdentifier, newest + (isAnew || own.length === 0 ? 1 : 0));
  const shipped: ShippedLog[] = isAnew ? [] : [...own];
  const since = Date.now();
  let failure: LogReport['failure'] = null;
  let left = waiting.length;
  for (const [done, log] of waiting.entries()) {
    if (Date.now() - since > PATIENCE_MS) break;
    run.progress({ phase: `shipping ${log.name} of ${database}`, done, total: waiting.length });
    try {
      shipped.push(await shipOne(deps, repository, { database, lineage, shipping, place, log }, run));
      left -= 1;
    } catch (error) {
      run.signal.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      deps.logger.error({ database, log: log.name, problem: message }, 'a log could not be shipped');
      failure = { at: survey.at, log: log.name, message };
      // What comes after a log that is gone is worth as much as before; anything else the next round may do.
      if (!(error instanceof HoldfastError && error.type === 'LogGap')) break;
      left -= 1;
    }
  }
  const last = shipped.toSorted((a, b) => a.number - b.number).at(-1);
  return {
    ...{ database, at: survey.at, heartbeat: null, switched: survey.switched, failure, waiting: left },
    ...{ lastArchivedLog: last?.name ?? null, lastArchivedAt: last?.lastAt ?? null },
    ready: waiting.slice(waiting.length - left).map(({ name }) => name),
  };
}

/**
 * Whether the server has begun to count its logs anew (RESET MASTER) since the newest that is shipped: its numbers are
 * lower, or the log of that name is another one.
 */
async function countsAnew(
  repository: Repository,
  { closed, current }: LogSurvey,
  own: readonly ShippedLog[],
  signal: AbortSignal,
): Promise<boolean> {
  const newest = own.at(-1);
  if (newest === undefined) return false;
  if ((numberOf(current.name) ?? 0) <= newest.number) return true;
  const same = closed.find(({ name }) => name === newest.name);
  if (same === undefined) return false;
  return (await readLogRecord(repository, newest, signal)).sizeBytes !== same.sizeBytes;
}

/**
 * Closed logs that are not in the repository. Those before the oldest one that is there, or before the newest base,
 * serve nobody: lifecycle rules may have removed them.
 */
export function waitingLogs(
  { closed }: Pick<LogSurvey, 'closed'>,
  own: readonly ShippedLog[],
  baseLog: string | null,
): ServerLog[] {
  const numbered = closed.flatMap((log) => {
    const number = numberOf(log.name);
    return number === null ? [] : [{ log, number }];
  });
  const there = new Set(own.map(({ number }) => number));
  const base = baseLog === null ? null : numberOf(baseLog);
  const from = own[0]?.number ?? base ?? numbered.at(-1)?.number ?? 0;
  return numbered.filter(({ number }) => number >= from && !there.has(number)).map(({ log }) => log);
}

/** The logs of the newest lineage, in order. */
function newestLineage(logs: readonly ShippedLog[]): ShippedLog[] {
  const newest = Math.max(...logs.map(({ lineage }) => generationOf(lineage)));
  return logs
    .filter(({ lineage }) => generationOf(lineage) === newest)
    .toSorted((a, b) => a.number - b.number);
}

interface One {
  database: string;
  lineage: string;
  shipping: LogShipping;
  place: LogPlace;
  log: ServerLog;
}

/** The content into objects of this attempt, then the record that makes it a log. */
async function shipOne(
  deps: Dependencies,
  repository: Repository,
  { database, lineage, shipping, place, log }: One,
  run: Run,
): Promise<ShippedLog> {
  const lockedUntil = lockDate(deps, new Date(Date.now() + databaseOf(deps, database).retention.logMs));
  const folder = shippedFolder(database, lineage, log.name);
  // What an attempt that died has left here has no record.
  await repository.abortUploads(folder);
  const attempt = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const sink = openSink(repository, folder, { lockedUntil, signal: run.signal });
  const read = new PassThrough();
  const compressed = createZstdCompress();
  const content = await shipping.read({ ...place, log }, run);
  const [facts, objects] = await Promise.all([
    shipping.summarize(read, run),
    sink.put(`${attempt}.zst`, compressed, { expectedBytes: log.sizeBytes }),
    intoBoth(content, [read, compressed]),
  ]);
  const record: LogRecord = {
    ...{ formatVersion: 1, database, lineage, name: log.name, objects, lockedUntil },
    ...{ ...facts, shippedAt: new Date().toISOString() },
  };
  const key = await writeLogRecord(repository, record);
  const named = parseRecordKey(logFolder(database), key);
  if (named === null)
    throw new HoldfastError('ToolFailed', `log ${log.name} cannot be named in the repository`);
  deps.logger.info({ database, log: log.name, sizeBytes: facts.sizeBytes }, 'log shipped');
  return { ...named, shippedAt: record.shippedAt };
}

/** At the pace of the slower one; where one fails the other ends too, so that no half of a log is stored. */
async function intoBoth(content: Readable, targets: readonly Writable[]): Promise<void> {
  try {
    for await (const piece of content as AsyncIterable<Buffer>) {
      await Promise.all(targets.map((target) => written(target, piece)));
    }
    for (const target of targets) target.end();
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const target of targets) target.destroy(reason);
    throw error;
  }
}

function written(target: Writable, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    target.write(piece, (error) => (error == null ? resolve() : reject(error)));
  });
}
