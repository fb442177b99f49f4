import { describeDatabase } from '../config/describe.ts';
import type { LogReport } from '../engines/contract/backup.ts';
import type { LogGap } from '../model/backup.ts';
import { formatDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import type { LostLogs } from '../model/gap.ts';
import type { Run } from '../model/progress.ts';
import { type LogTier, settleMs } from '../model/tier.ts';
import { mapBounded } from '../repository/bounded.ts';
import type { LogCursor } from '../repository/continuity/cursor.ts';
import { type LogRound, lookAtLogs } from '../repository/continuity/round.ts';
import { writeHeartbeat } from '../repository/heartbeats.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf, postgresOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { measureArchive, measureRecoverable } from './measuring.ts';
import { within } from './within.ts';

/** A round of the log watcher at one database, small: a host may have a thousand. `problem` in words where there is one. */
export type WatchReport = Pick<LogReport, 'database'> &
  Partial<Pick<LogReport, 'at' | 'lastArchivedLog' | 'lastArchivedAt' | 'waiting' | 'switched'>> & {
    problem: string | null;
    /** measured: the newest moment that could be recovered now, and what would be lost; absent: nobody could look */
    recoverableAt?: string | null;
    rpoSeconds?: number | null;
    logs?: LogsSeen;
    /** what the next round begins with */
    cursor?: LogCursor;
  };

export interface LogsSeen {
  timeline: number | null;
  archivedUpTo: string | null;
  /** false: what is archived now counts once a base has begun behind what is lost, or there is a base at all */
  anchored: boolean;
  /** the first of them */
  inFlight: LostLogs[];
  lost: LogGap[];
}

/** An S3 that is away is asked again in the next round. */
export const WATCH_PATIENCE_MS = 10_000;

const AT_ONCE = 16;
/** A server that hangs, and a repository that is listed from the beginning, hold up their own database only. */
const LIMITS = { serverMs: 20_000, repositoryMs: 60_000 };
const MOST_RUNS = 5;
const LONGEST_PROBLEM = 400;

export interface WatchHost {
  host: string;
  /** by database: what its last round gave */
  cursors?: Record<string, LogCursor>;
}

/** One round over all databases of a host, many at once. */
export async function watchAll(
  deps: Dependencies,
  repository: Repository,
  { host, cursors = {}, limits = LIMITS }: WatchHost & { limits?: typeof LIMITS },
  run: Run,
): Promise<WatchReport[]> {
  const { config } = deps.config;
  const names = Object.keys(config.databases).filter(
    (name) => config.databases[name]?.host === host && describeDatabase(config, name).tiers.log !== null,
  );
  const outage: Outage = { repository: null };
  let done = 0;
  return mapBounded(names, AT_ONCE, async (name) => {
    const one = { name, cursor: cursors[name] ?? null, outage, limits };
    const report = await watch(deps, repository, one, run);
    done += 1;
    run.progress({ phase: 'watching logs', done, total: names.length });
    return report;
  });
}

/** Once one database has waited for a repository that is away, the others of the round do not. */
interface Outage {
  repository: Error | null;
}

/** A round at one database. Never throws but when it is cancelled: the others still want their round. */
async function watch(
  deps: Dependencies,
  repository: Repository,
  {
    name,
    cursor,
    outage,
    limits,
  }: { name: string; cursor: LogCursor | null; outage: Outage; limits: typeof LIMITS },
  run: Run,
): Promise<WatchReport> {
  const trouble = new Set<string>();
  const attempt = async <T>(limitMs: number, what: string, work: (run: Run) => Promise<T>) => {
    try {
      return await within({ limitMs, what }, run, work);
    } catch (error) {
      run.signal.throwIfAborted();
      if (error instanceof HoldfastError && error.type === 'RepositoryUnavailable') outage.repository = error;
      const problem = error instanceof Error ? error.message : String(error);
      deps.logger.error({ database: name, problem }, `${what} failed`);
      trouble.add(problem);
      return null;
    }
  };
  const server = await attempt(limits.serverMs, `asking the server of ${name}`, (limited) =>
    askServer(deps, name, limited),
  );
  // A server that is away is no reason not to know what could be recovered of it.
  const logs = await attempt(limits.repositoryMs, `looking at the logs of ${name}`, async ({ signal }) => {
    if (outage.repository !== null) throw outage.repository;
    if (server?.heartbeat) await writeHeartbeat(repository, name, server.heartbeat, signal);
    return look(deps, repository, { name, cursor, server, signal });
  });
  return reportOf(deps, name, { server, logs, trouble: [...trouble] });
}

async function askServer(deps: Dependencies, name: string, run: Run): Promise<LogReport> {
  const { engine, config, tiers } = databaseOf(deps, name);
  const { dataDirectory, log } = postgresOf(name, config);
  return engine.watchLog(
    {
      ...{ database: name, access: await productionAccess(deps, name), dataDirectory },
      serverLog: log ?? null,
      maxAgeMs: tiers.log?.maxAgeMs ?? Number.POSITIVE_INFINITY,
    },
    run,
  );
}

function look(
  deps: Dependencies,
  repository: Repository,
  of: { name: string; cursor: LogCursor | null; server: LogReport | null; signal: AbortSignal },
): Promise<LogRound> {
  const { name, cursor, server, signal } = of;
  const database = databaseOf(deps, name);
  const { objectives, tiers } = database;
  return lookAtLogs(repository, name, {
    ...{ history: database, cursor, ready: server?.ready ?? null, now: new Date(), signal },
    settleMs: settleMs(tiers.log),
    lateMs: warningMs(objectives.rpoMs, tiers.log),
  });
}

function reportOf(
  deps: Dependencies,
  name: string,
  { server, logs, trouble }: { server: LogReport | null; logs: LogRound | null; trouble: string[] },
): WatchReport {
  const { objectives, tiers } = describeDatabase(deps.config.config, name);
  // By the clock that made the heartbeats, where it can be asked.
  const now = server === null ? new Date() : new Date(server.at);
  const recoverableAt = logs?.recoverableAt ?? null;
  const lostMs = recoverableAt === null ? null : Math.max(0, now.getTime() - Date.parse(recoverableAt));
  measureRecoverable(deps.metrics, { database: name, lastRecoverableAt: recoverableAt, now });
  measureArchive(deps.metrics, name, server);
  const problem =
    [
      ...trouble,
      ...(server === null ? [] : archiverProblem(server, tiers.log?.maxAgeMs ?? Number.POSITIVE_INFINITY)),
      ...lateProblem(lostMs, objectives.rpoMs, tiers.log),
    ].join('; ') || null;
  return {
    database: name,
    ...(server === null ? {} : saidByServer(server)),
    ...(logs === null
      ? {}
      : {
          recoverableAt,
          rpoSeconds: lostMs === null ? null : Math.round(lostMs / 1_000),
          logs: {
            timeline: logs.timeline,
            archivedUpTo: logs.archivedUpTo,
            anchored: logs.cursor?.anchored ?? false,
            inFlight: logs.inFlight.slice(0, MOST_RUNS),
            lost: logs.lost.slice(0, MOST_RUNS),
          },
          ...(logs.cursor === null ? {} : { cursor: logs.cursor }),
        }),
    problem:
      problem !== null && problem.length > LONGEST_PROBLEM
        ? `${problem.slice(0, LONGEST_PROBLEM)}…`
        : problem,
  };
}

const saidByServer = ({ at, lastArchivedLog, lastArchivedAt, waiting, switched }: LogReport) => ({
  ...{ at, lastArchivedLog, lastArchivedAt, waiting, switched },
});

/** Said before the RPO is broken: the archiver's own message, or the age of the newest archived log. */
function archiverProblem(report: LogReport, maxAgeMs: number): string[] {
  const { failure, lastArchivedAt, at } = report;
  if (failure !== null) return [`archiving fails since ${failure.at}: ${failure.message}`];
  if (lastArchivedAt === null) return ['nothing was archived yet'];
  const age = Date.parse(at) - Date.parse(lastArchivedAt);
  return age > maxAgeMs ? [`the newest archived log is ${Math.round(age / 1_000)} s old`] : [];
}

/** Said whatever the server thinks of its archiver: what counts is what lies in the repository. */
function lateProblem(lostMs: number | null, rpoMs: number, log: LogTier | null): string[] {
  if (lostMs === null || lostMs <= warningMs(rpoMs, log)) return [];
  const lost = formatDuration(Math.round(lostMs / 1_000) * 1_000);
  return [`if it were lost now, the last ${lost} would be gone, of an RPO of ${formatDuration(rpoMs)}`];
}

/** Three quarters of the RPO: time to do something. Never less than what can be lost with everything in order. */
function warningMs(rpoMs: number, log: LogTier | null): number {
  return Math.max(0.75 * rpoMs, log?.worstMs ?? 0);
}
