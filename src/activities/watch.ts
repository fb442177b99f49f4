import { describeDatabase } from '../config/describe.ts';
import type { LogReport } from '../engines/contract/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { settleMs } from '../model/tier.ts';
import { mapBounded } from '../repository/bounded.ts';
import { type LogRound, lookAtLogs } from '../repository/continuity/round.ts';
import { writeHeartbeat } from '../repository/heartbeats.ts';
import type { Repository } from '../repository/repository.ts';
import { lookAtShipped } from '../repository/shipped/round.ts';
import { databaseOf, postgresOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { measureArchive, measureRecoverable } from './measuring.ts';
import { shipLogs } from './shipping.ts';
import { reportOf, type WatchReport, warningMs } from './watch-report.ts';
import { within } from './within.ts';

/** An S3 that is away is asked again in the next round. */
export const WATCH_PATIENCE_MS = 10_000;

const AT_ONCE = 16;
/** A server that hangs, and a repository that is listed from the beginning, hold up their own database only. */
const LIMITS = { serverMs: 20_000, shippingMs: 600_000, repositoryMs: 60_000 };

type Cursor = NonNullable<LogRound['cursor']>;

export interface WatchHost {
  host: string;
  /** by database: what its last round gave */
  cursors?: Record<string, Cursor>;
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
  }: { name: string; cursor: Cursor | null; outage: Outage; limits: typeof LIMITS },
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
  const database = describeDatabase(deps.config.config, name);
  // A log of a gigabyte takes longer than a question.
  const serverMs = database.bases === 'logical' ? limits.shippingMs : limits.serverMs;
  const server = await attempt(serverMs, `asking the server of ${name}`, (limited) =>
    askServer(deps, repository, name, limited),
  );
  // A server that is away is no reason not to know what could be recovered of it.
  const logs = await attempt(limits.repositoryMs, `looking at the logs of ${name}`, async ({ signal }) => {
    if (outage.repository !== null) throw outage.repository;
    if (server?.heartbeat) await writeHeartbeat(repository, name, server.heartbeat, signal);
    return look(deps, repository, { name, cursor, server, signal });
  });
  // By the clock that made the heartbeats, where it can be asked.
  const now = server === null ? new Date() : new Date(server.at);
  measureRecoverable(deps.metrics, { database: name, lastRecoverableAt: logs?.recoverableAt ?? null, now });
  measureArchive(deps.metrics, name, server);
  return reportOf(database, { server, logs, trouble: [...trouble], now });
}

/** What its archiver says, or, where it has none, what we have brought into the repository. */
async function askServer(
  deps: Dependencies,
  repository: Repository,
  name: string,
  run: Run,
): Promise<LogReport> {
  const { engine, config, tiers } = databaseOf(deps, name);
  const { logs } = engine;
  if (logs.kind === 'shipped') return shipLogs(deps, repository, name, run);
  const { dataDirectory, log } = postgresOf(name, config);
  return logs.watch(
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
  of: { name: string; cursor: Cursor | null; server: LogReport | null; signal: AbortSignal },
): Promise<LogRound> {
  const { name, cursor, server, signal } = of;
  const database = databaseOf(deps, name);
  const { objectives, tiers, bases } = database;
  const isShipped = cursor !== null && 'kind' in cursor;
  if (bases === 'logical') {
    return lookAtShipped(repository, name, { cursor: isShipped ? cursor : null, now: new Date(), signal });
  }
  return lookAtLogs(repository, name, {
    ...{ history: database, cursor: isShipped ? null : cursor },
    ...{ ready: server?.ready ?? null, now: new Date(), signal },
    settleMs: settleMs(tiers.log),
    lateMs: warningMs(objectives.rpoMs, tiers.log),
  });
}
