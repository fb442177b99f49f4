import type { LogReport } from '../engines/contract/backup.ts';
import type { LogPlace, LogShipping, LogSurvey, ServerLog } from '../engines/contract/ship.ts';
import { HoldfastError } from '../model/failure.ts';
import { numberOf } from '../model/log-position.ts';
import type { Run } from '../model/progress.ts';
import { newestManifestAt } from '../repository/continuity/cursor.ts';
import { shippedUntil } from '../repository/lifecycle/days.ts';
import { listManifests } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { shippedBases } from '../repository/shipped/chain.ts';
import { listShippedAgain, rememberShipped } from '../repository/shipped/listing.ts';
import { readLogRecord } from '../repository/shipped/logs.ts';
import {
  generationOf,
  lineageOf,
  type ShippedLog,
  serverNameOf,
  serverOf,
  siblingOf,
} from '../repository/shipped/name.ts';
import { databaseOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { lockDate } from './locking.ts';
import { shipLog } from './ship-log.ts';

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
  const view = databaseOf(deps, database);
  const { engine, config, tiers } = view;
  if (engine.logs.kind !== 'shipped') {
    throw new HoldfastError('NotSupported', `the logs of ${database} are archived by its server`);
  }
  const shipping = engine.logs;
  const place: LogPlace = {
    access: await productionAccess(deps, database),
    directory: config.mysql?.logDirectory ?? null,
  };
  const survey = await shipping.survey({ ...place, maxAgeMs: tiers.log?.maxAgeMs ?? null }, run);
  const known = await shippedOf(repository, database, { survey, shipping, place }, run);
  const base = await newestBaseLog(repository, database, survey, run.signal);
  const waiting = waitingLogs(survey, known, base);
  const shipped = new Map(known.logs.map((log) => [log.number, log]));
  const since = Date.now();
  let failure: LogReport['failure'] = null;
  let left = waiting.length;
  for (const [done, log] of waiting.entries()) {
    if (Date.now() - since > PATIENCE_MS) break;
    run.progress({ phase: `shipping ${log.name} of ${database}`, done, total: waiting.length });
    try {
      const after = shipped.get((numberOf(log.name) ?? 0) - 1)?.lastAt ?? null;
      const lockedUntil = lockDate(deps, shippedUntil(view, Date.now()));
      const { at } = survey;
      const one = { database, lineage: known.lineage, shipping, place, log, after, at, lockedUntil };
      const { shipped: there, notices } = await shipLog(repository, one, run);
      deps.logger.info({ database, log: log.name, sizeBytes: log.sizeBytes }, 'log shipped');
      for (const notice of notices) deps.logger.warn({ database, log: log.name }, notice);
      rememberShipped(repository, database, there);
      shipped.set(there.number, there);
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
  const last = [...shipped.values()].toSorted((a, b) => a.number - b.number).at(-1);
  return {
    ...{ database, at: survey.at, heartbeat: null, switched: survey.switched, failure, waiting: left },
    ...{ lastArchivedLog: last?.name ?? null, lastArchivedAt: last?.lastAt ?? null },
    ready: waiting.slice(waiting.length - left).map(({ name }) => name),
  };
}

/** What is shipped of the logs that the server counts now. */
export interface KnownLogs {
  lineage: string;
  /** in order */
  logs: ShippedLog[];
  /** it has begun to count them anew: all of them are of now */
  isAnew: boolean;
}

async function shippedOf(
  repository: Repository,
  database: string,
  at: { survey: LogSurvey; shipping: LogShipping; place: LogPlace },
  run: Run,
): Promise<KnownLogs> {
  const { systemIdentifier } = at.survey;
  const server = serverNameOf(systemIdentifier);
  const all = await listShippedAgain(repository, database, { signal: run.signal });
  const own = newestLineage(all.filter(({ lineage }) => serverOf(lineage) === server));
  const newest = own.at(-1);
  if (newest === undefined) return { lineage: lineageOf(systemIdentifier, 1), logs: [], isAnew: false };
  if (!(await countsAnew(repository, newest, at, run))) {
    return { lineage: newest.lineage, logs: own, isAnew: false };
  }
  return { lineage: lineageOf(systemIdentifier, generationOf(newest.lineage) + 1), logs: [], isAnew: true };
}

/**
 * Whether the server has begun to count its logs anew (RESET MASTER, another `log_bin`) since the newest that is shipped:
 * its numbers are lower, its names are others, or the log of that name is another one. Sizes do not tell: those of idle
 * logs agree.
 */
async function countsAnew(
  repository: Repository,
  newest: ShippedLog,
  { survey, shipping, place }: { survey: LogSurvey; shipping: LogShipping; place: LogPlace },
  run: Run,
): Promise<boolean> {
  const { closed, current } = survey;
  if (siblingOf(current.name, newest.number) !== newest.name) return true;
  if ((numberOf(current.name) ?? 0) <= newest.number) return true;
  const same = closed.find(({ name }) => name === newest.name);
  if (same === undefined) return false;
  const [record, begunAt] = await Promise.all([
    // A damaged record is the audit's to tell, and no reason to ship no more.
    readLogRecord(repository, newest, run.signal).catch((error: unknown) => {
      if (error instanceof HoldfastError && error.type === 'BackupUnusable') return null;
      throw error;
    }),
    shipping.begunAt({ ...place, log: same }, run).catch((error: unknown) => {
      // Removed since the server was asked for its list.
      if (error instanceof HoldfastError && error.type === 'LogGap') return null;
      throw error;
    }),
  ]);
  if (record === null || begunAt === null) return false;
  return Date.parse(begunAt) !== Date.parse(record.createdAt);
}

/** By database and server, of when this process has read its manifests; they are read again when one was written since. */
const baseLogs = new Map<string, { manifestsAt: string | null; log: string | null }>();

/** The log that the newest base of this server begins in; null: there is none. */
async function newestBaseLog(
  repository: Repository,
  database: string,
  { systemIdentifier }: LogSurvey,
  signal: AbortSignal,
): Promise<string | null> {
  const key = `${repository.connection.bucket} ${repository.fullKey(database)} ${systemIdentifier}`;
  const manifestsAt = await newestManifestAt(repository, database, signal);
  const before = baseLogs.get(key);
  if (before !== undefined && before.manifestsAt === manifestsAt) return before.log;
  const bases = shippedBases(await listManifests(repository, database));
  const own = bases.find((base) => base.systemIdentifier === systemIdentifier);
  const log = own?.positions.startLog ?? null;
  baseLogs.set(key, { manifestsAt, log });
  return log;
}

/**
 * Closed logs that are not in the repository. Those before the oldest one that is there and before the newest base serve
 * nobody, and lifecycle rules may have removed them; where neither is there, the newest closed one begins the history.
 */
export function waitingLogs(
  { closed }: Pick<LogSurvey, 'closed'>,
  known: Pick<KnownLogs, 'logs' | 'isAnew'>,
  baseLog: string | null,
): ServerLog[] {
  const numbered = closed.flatMap((log) => {
    const number = numberOf(log.name);
    return number === null ? [] : [{ log, number }];
  });
  const there = new Set(known.logs.map(({ number }) => number));
  const firsts = [known.logs[0]?.number, baseLog === null ? undefined : (numberOf(baseLog) ?? undefined)];
  const from = firsts.filter((number) => number !== undefined);
  const first = known.isAnew ? 0 : from.length > 0 ? Math.min(...from) : (numbered.at(-1)?.number ?? 0);
  return numbered.filter(({ number }) => number >= first && !there.has(number)).map(({ log }) => log);
}

/** The logs of the newest lineage, in order. */
function newestLineage(logs: readonly ShippedLog[]): ShippedLog[] {
  const newest = Math.max(...logs.map(({ lineage }) => generationOf(lineage)));
  return logs
    .filter(({ lineage }) => generationOf(lineage) === newest)
    .toSorted((a, b) => a.number - b.number);
}
