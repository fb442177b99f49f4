import { describeDatabase } from '../config/describe.ts';
import type { LogReport } from '../engines/contract/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { settleMs } from '../model/tier.ts';
import { mapBounded } from '../repository/bounded.ts';
import { type LogRound, lookAtLogs } from '../repository/continuity/round.ts';
import { writeHeartbeat } from '../repository/heartbeats.ts';
import type { Repository } from '../repository/repository.ts';
import { listKnown } from '../repository/shipped/listing.ts';
import { lookAtShipped } from '../repository/shipped/round.ts';
import { databaseOf, postgresOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { measureArchive, measureRecoverable } from './measuring.ts';
import { endShipments } from './shipments.ts';
import { shipLogs, shipmentKey } from './shipping.ts';
import { reportOf, type WatchFindings, type WatchReport, warningMs } from './watch-report.ts';
import { within } from './within.ts';

/** An S3 that is away is asked again in the next round. */
export const WATCH_PATIENCE_MS = 10_000;

const AT_ONCE = 16;
/**
 * A server that hangs, and a repository that is listed from the beginning, hold up their own database only. A log that
 * takes longer than `shippingMs` goes on without the round: the round of all ends with the slowest.
 */
const LIMITS = { serverMs: 20_000, shippingMs: 10_000, repositoryMs: 60_000 };

type Cursor = NonNullable<LogRound['cursor']>;

export interface WatchHost {
  host: string;
  /** by database: what its last round gave */
  cursors?: Record<string, Cursor>;
}

/** One round over all databases of a host, many at once. Where it is cancelled, nothing of it goes on. */
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
  try {
    return await mapBounded(names, AT_ONCE, async (name) => {
      const one = { name, cursor: cursors[name] ?? null, outage, limits };
      const report = await watch(deps, repository, one, run);
      done += 1;
      run.progress({ phase: 'watching logs', done, total: names.length });
      return report;
    });
  } finally {
    if (run.signal.aborted) {
      await endShipments(
        run.signal.reason,
        names.map((name) => shipmentKey(repository, name)),
      );
    }
  }
}

/** Once one database has waited for a repository that is away, the others of the round do not. */
interface Outage {
  repository: Error | null;
}

/** One of a round's questions about a database, in so much time; null where it failed, which is noted down. */
type Ask = <T>(limitMs: number, what: string, work: (run: Run) => Promise<T>) => Promise<T | null>;

interface Watched {
  name: string;
  cursor: Cursor | null;
  outage: Outage;
  limits: typeof LIMITS;
}

/** A round at one database. Never throws but when it is cancelled: the others still want their round. */
async function watch(
  deps: Dependencies,
  repository: Repository,
  watched: Watched,
  run: Run,
): Promise<WatchReport> {
  const { name, outage } = watched;
  const trouble = new Set<string>();
  const ask: Ask = async (limitMs, what, work) => {
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
  const round = database.bases === 'logical' ? watchShipped : watchArchived;
  const { server, logs } = await round(deps, repository, watched, ask);
  // By the clock that made the heartbeats, where it can be asked.
  const now = server === null ? new Date() : new Date(server.at);
  measureRecoverable(deps.metrics, { database: name, lastRecoverableAt: logs?.recoverableAt ?? null, now });
  measureArchive(deps.metrics, name, server);
  return reportOf(database, { server, logs, trouble: [...trouble], now });
}

type Seen = Pick<WatchFindings, 'server' | 'logs'>;

/** Its archiver is asked, and then what of it has reached the repository. */
async function watchArchived(
  deps: Dependencies,
  repository: Repository,
  { name, cursor, outage, limits }: Watched,
  ask: Ask,
): Promise<Seen> {
  const server = await ask(limits.serverMs, `asking the server of ${name}`, (run) =>
    askArchiver(deps, name, run),
  );
  // A server that is away is no reason not to know what could be recovered of it.
  const logs = await ask(limits.repositoryMs, `looking at the logs of ${name}`, async ({ signal }) => {
    if (outage.repository !== null) throw outage.repository;
    if (server?.heartbeat) await writeHeartbeat(repository, name, server.heartbeat, signal);
    const database = databaseOf(deps, name);
    const { objectives, tiers } = database;
    return lookAtLogs(repository, name, {
      ...{ history: database, cursor: cursor !== null && 'kind' in cursor ? null : cursor },
      ...{ ready: server?.ready ?? null, now: new Date(), signal },
      settleMs: settleMs(tiers.log),
      lateMs: warningMs(objectives.rpoMs, tiers.log),
    });
  });
  return { server, logs };
}

async function askArchiver(deps: Dependencies, name: string, run: Run): Promise<LogReport> {
  const { engine, config, tiers } = databaseOf(deps, name);
  if (engine.logs.kind === 'shipped') throw new TypeError(`${name} has no archiver`);
  const { dataDirectory, log } = postgresOf(name, config);
  return engine.logs.watch(
    {
      ...{ database: name, access: await productionAccess(deps, name), dataDirectory },
      serverLog: log ?? null,
      maxAgeMs: tiers.log?.maxAgeMs ?? Number.POSITIVE_INFINITY,
    },
    run,
  );
}

/** It has no archiver: what its server has closed is brought to what is in the repository. */
async function watchShipped(
  deps: Dependencies,
  repository: Repository,
  { name, cursor, outage, limits }: Watched,
  ask: Ask,
): Promise<Seen> {
  const left = cursor !== null && 'kind' in cursor ? cursor : null;
  const looking = `looking at the logs of ${name}`;
  const known = await ask(limits.repositoryMs, looking, async ({ signal }) => {
    if (outage.repository !== null) throw outage.repository;
    return listKnown(repository, name, { left, now: new Date(), signal });
  });
  if (known === null) return { server: null, logs: null };
  const { serverMs, shippingMs: patienceMs } = limits;
  const server = await ask(serverMs + patienceMs, `asking the server of ${name}`, (run) =>
    shipLogs(deps, repository, { database: name, known, patienceMs }, run),
  );
  const logs = await ask(limits.repositoryMs, looking, ({ signal }) =>
    lookAtShipped(repository, name, { known, missing: left?.missing ?? [], signal }),
  );
  return { server, logs };
}
