import type { LogReport } from '../engines/contract/backup.ts';
import type { LogPlace, LogShipping, LogSurvey, ServerLog } from '../engines/contract/ship.ts';
import { HoldfastError } from '../model/failure.ts';
import { numberOf } from '../model/log-position.ts';
import type { Run } from '../model/progress.ts';
import { logFolder } from '../repository/layout.ts';
import { shippedUntil } from '../repository/lifecycle/days.ts';
import type { Repository } from '../repository/repository.ts';
import type { LogRun } from '../repository/shipped/chain.ts';
import { addShipped, type KnownLogs } from '../repository/shipped/listing.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { countedNow } from './lineage.ts';
import { lockDate } from './locking.ts';
import { shipLog } from './ship-log.ts';
import { awaitShipment, beginShipment, type Shipment, shipmentOf } from './shipments.ts';

/** One more is not begun after this: others wait for their turn, and the next round goes on. */
const PATIENCE_MS = 30_000;

export interface ShipInput {
  database: string;
  /** what is shipped in the meantime is added */
  known: KnownLogs;
  /** a round waits for as long; what takes longer goes on without it */
  patienceMs: number;
}

/** Beside what any archiver reports: the log that is still on its way. */
export interface ShippingReport extends LogReport {
  shipping: string | null;
}

/**
 * Brings what the server has closed into the repository, oldest first, and never removes anything from the server. A log
 * whose record is there is shipped: one that was lost in the repository is brought again while the server still has it.
 */
export async function shipLogs(
  deps: Dependencies,
  repository: Repository,
  { database, known, patienceMs }: ShipInput,
  run: Run,
): Promise<ShippingReport> {
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
  const key = shipmentKey(repository, database);
  const addFrom = (shipment: Shipment | undefined) => {
    for (const one of shipment?.shipped ?? []) addShipped(known, one);
  };
  addFrom(shipmentOf(key));
  const counted = await countedNow(repository, known, { survey, shipping, place }, run);
  const ofServer = known.bases.find(({ systemIdentifier }) => systemIdentifier === survey.systemIdentifier);
  const baseLog = ofServer?.positions.startLog ?? null;
  const left = () => {
    const runs = known.runs.filter(({ lineage }) => lineage === counted.lineage);
    return { runs, waiting: waitingLogs(survey, { ...counted, runs }, baseLog) };
  };
  run.signal.throwIfAborted();
  const shipment = beginShipment(key, (begun, signal) =>
    shipAll(deps, begun, { view, shipping, place, survey, lineage: counted.lineage, ...left() }, signal),
  );
  if (shipment.log !== null) run.progress({ phase: `shipping ${shipment.log} of ${database}` });
  await awaitShipment(shipment, patienceMs, run);
  addFrom(shipment);
  const { runs, waiting } = left();
  const last = runs.at(-1)?.logs.at(-1);
  return {
    ...{ database, at: survey.at, heartbeat: null, switched: survey.switched, failure: shipment.failure },
    ...{ lastArchivedLog: last?.name ?? null, lastArchivedAt: last?.lastAt ?? null },
    ...{ waiting: waiting.length, ready: waiting.map(({ name }) => name), shipping: shipment.log },
  };
}

/** What a database's shipments are told apart by. */
export const shipmentKey = ({ connection, fullKey }: Repository, database: string): string =>
  `${connection.where} ${fullKey(logFolder(database))}`;

interface ToShip {
  view: ReturnType<typeof databaseOf>;
  shipping: LogShipping;
  place: LogPlace;
  survey: LogSurvey;
  lineage: string;
  runs: LogRun[];
  waiting: ServerLog[];
}

/** Through a repository of its own: it may outlive the round that began it, and an S3 that is away for a while. */
async function shipAll(
  deps: Dependencies,
  shipment: Shipment,
  { view, shipping, place, survey, lineage, runs, waiting }: ToShip,
  signal: AbortSignal,
): Promise<void> {
  const database = view.name;
  const since = Date.now();
  const { at } = survey;
  shipment.log = waiting[0]?.name ?? null;
  const ends = new Map(runs.flatMap(({ logs }) => logs.map(({ number, lastAt }) => [number, lastAt])));
  let failure: LogReport['failure'] = null;
  const ship = async (repository: Repository) => {
    for (const log of waiting) {
      if (Date.now() - since > PATIENCE_MS) break;
      signal.throwIfAborted();
      shipment.log = log.name;
      try {
        const after = ends.get((numberOf(log.name) ?? 0) - 1) ?? null;
        const lockedUntil = lockDate(deps, shippedUntil(view, Date.now()));
        const one = { database, lineage, shipping, place, log, after, at, lockedUntil };
        const { notices, ...there } = await shipLog(repository, one, { signal, progress: () => {} });
        deps.logger.info({ database, log: log.name, sizeBytes: log.sizeBytes }, 'log shipped');
        for (const notice of notices) deps.logger.warn({ database, log: log.name }, notice);
        ends.set(there.log.number, there.log.lastAt);
        shipment.shipped.push(there);
      } catch (error) {
        signal.throwIfAborted();
        failure = failed(error, log.name);
        // What comes after a log that is gone is worth as much as before; anything else the next round may do.
        if (!(error instanceof HoldfastError && error.type === 'LogGap')) break;
      }
    }
  };
  const failed = (error: unknown, log: string | null) => {
    const message = error instanceof Error ? error.message : String(error);
    deps.logger.error({ database, log, problem: message }, 'a log could not be shipped');
    return { at, log, message };
  };
  try {
    if (waiting.length > 0) await withRepository(deps, 'backup', ship);
  } catch (error) {
    signal.throwIfAborted();
    failure = failed(error, null);
  } finally {
    shipment.log = null;
  }
  shipment.failure = failure;
}

/**
 * Closed logs that are not in the repository. Those before the oldest one that is there and before the newest base serve
 * nobody, and lifecycle rules may have removed them; where neither is there, the newest closed one begins the history.
 */
export function waitingLogs(
  { closed }: Pick<LogSurvey, 'closed'>,
  { runs, isAnew }: { runs: readonly LogRun[]; isAnew: boolean },
  baseLog: string | null,
): ServerLog[] {
  const numbered = closed.flatMap((log) => {
    const number = numberOf(log.name);
    return number === null ? [] : [{ log, number }];
  });
  const there = runs.map(({ logs }) => [logs[0]?.number ?? 0, logs.at(-1)?.number ?? 0] as const);
  const isThere = (number: number) => there.some(([first, last]) => first <= number && number <= last);
  const firsts = [there[0]?.[0], baseLog === null ? undefined : (numberOf(baseLog) ?? undefined)];
  const from = firsts.filter((number) => number !== undefined);
  const first = isAnew ? 0 : from.length > 0 ? Math.min(...from) : (numbered.at(-1)?.number ?? 0);
  return numbered.filter(({ number }) => number >= first && !isThere(number)).map(({ log }) => log);
}
