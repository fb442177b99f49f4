import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { type Connection, connect } from './connection.ts';
import { replicationWords } from './flavour.ts';
import { quoteLiteral } from './identifier.ts';
import { serverPid } from './instance-processes.ts';
import { ownAccountStatements } from './own-accounts.ts';
import { instanceAccess } from './place.ts';
import { requireGtids, setGtids } from './replay-gtids.ts';
import type { Applied, Batch, ReplayState } from './replay-state.ts';
import { startAgain, stopInOrder } from './server.ts';
import { makeTimeZone, unknownZone } from './time-zone.ts';

const POLL_MS = 200;

/**
 * In one session, so that a statement of production may drop the account meanwhile. Lets the server apply the logs that lie in the instance, and waits until all of it is applied. It runs or not, and may
 * be at it since an earlier attempt. Throws CheckFailed where the logs do not fit the base, NotEnoughSpace, ToolFailed
 * where the server ends by itself.
 */
export async function applyBatch(
  place: InstancePlace,
  state: ReplayState & { replay: NonNullable<ReplayState['replay']> },
  batch: Batch,
  run: Run,
): Promise<ReplayState> {
  const { applied } = state.replay;
  const { session, started } = await enter(place, state, run);
  try {
    await begin(session, applied, batch);
    await untilApplied(place, session, batch, run);
    const words = replicationWords(session.server);
    await session.query(`${words.stop} SQL_THREAD`);
    // As whom the session came in: what it may do, it may until it ends.
    for (const statement of ownAccountStatements(session.server.series)) await session.query(statement);
    await requireGtids(session, batch);
  } finally {
    await session.close();
  }
  return started;
}

/** The server runs by then. A statement of production may have dropped the account: the server makes it at its start. */
export async function enter(
  place: InstancePlace,
  state: ReplayState,
  run: Run,
): Promise<{ session: Connection; started: ReplayState }> {
  const open = () => connect(instanceAccess(place), run, { applicationName: 'replay' });
  if ((await serverPid(place)) !== null) {
    try {
      return { session: await open(), started: state };
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.type !== 'AuthenticationFailed') throw error;
      await stopInOrder(place);
    }
  }
  const started = await startAgain(place, state, run);
  return { session: await open(), started };
}

/** Goes on where the server has begun: what it has applied it knows itself. */
async function begin(session: Connection, applied: Applied, batch: Batch): Promise<void> {
  const words = replicationWords(session.server);
  const before = await readStatus(session);
  if (before === null) {
    await setGtids(session, applied);
    await session.query(`${words.change} ${changeOf(session, batch)}`);
  }
  if (before?.isRunning !== true && before?.errno !== 0 && before !== null)
    throw applierFailure(before, batch);
  if (before?.isRunning !== true) await session.query(`${words.start} SQL_THREAD`);
}

function changeOf(session: Connection, { files }: Batch): string {
  const { source } = replicationWords(session.server);
  const [first] = files;
  if (first === undefined) throw new RangeError('a batch has a log');
  const position = Math.max(first.from, 4);
  const options: Record<string, string> = {
    [`${source}_HOST`]: "'none'",
    [`${source}_USER`]: "'none'",
    // MariaDB's parallel appliers fall over a source's log without a name (10.11.19: signal 11).
    ...(session.server.flavour === 'mariadb'
      ? {
          MASTER_LOG_FILE: quoteLiteral(first.log),
          MASTER_LOG_POS: String(position),
          // By GTIDs it would throw the placed logs away at its start.
          MASTER_USE_GTID: 'no',
        }
      : {}),
    RELAY_LOG_FILE: quoteLiteral(first.relay),
    RELAY_LOG_POS: String(position),
  };
  return Object.entries(options)
    .map(([name, value]) => `${name} = ${value}`)
    .join(', ');
}

interface Status {
  isRunning: boolean;
  file: string;
  position: number;
  errno: number;
  /** only for numbers in it: it may quote a row */
  said: string;
}

/** Null: it has no source. */
export async function readStatus(session: Connection): Promise<Status | null> {
  const [row] = await session.query<Record<string, string | number | null>>(
    replicationWords(session.server).status,
  );
  if (row === undefined) return null;
  return {
    isRunning: (row.Replica_SQL_Running ?? row.Slave_SQL_Running) === 'Yes',
    file: String(row.Relay_Log_File ?? ''),
    position: Number(row.Relay_Log_Pos ?? 0),
    errno: Number(row.Last_SQL_Errno ?? 0),
    said: String(row.Last_SQL_Error ?? ''),
  };
}

async function untilApplied(
  place: InstancePlace,
  session: Connection,
  batch: Batch,
  run: Run,
): Promise<void> {
  const total = batch.files.reduce((sum, { from, to }) => sum + to - from, 0);
  const zones = new Set<string>();
  for (;;) {
    run.signal.throwIfAborted();
    const status = await readStatus(session).catch(async (error: unknown) => {
      if ((await serverPid(place)) !== null) throw error;
      throw ended(place);
    });
    if (status === null) throw new HoldfastError('InstanceLost', 'somebody has reset the replay of the copy');
    const at = batch.files.findIndex(({ relay }) => relay === status.file);
    const isDone = at < 0 || (at === batch.files.length - 1 && status.position >= (batch.files[at]?.to ?? 0));
    if (isDone && status.errno === 0) return;
    if (!status.isRunning) {
      if (!(await hasLearned(session, status, zones))) throw applierFailure(status, batch);
      await session.query(`${replicationWords(session.server).start} SQL_THREAD`);
      continue;
    }
    const current = batch.files[at];
    const before = batch.files.slice(0, at).reduce((sum, { from, to }) => sum + to - from, 0);
    run.progress({
      ...{ phase: 'replaying logs', total, unit: 'bytes' as const },
      done: Math.min(total, before + Math.max(0, status.position - (current?.from ?? 0))),
      detail: `log ${at + 1} of ${batch.files.length}, at ${current?.log}:${status.position}`,
    });
    await sleep(POLL_MS, undefined, { signal: run.signal });
  }
}

/** Whether the applier only lacked a time zone, which the server knows now. */
async function hasLearned(
  session: Connection,
  { errno, said }: Status,
  zones: Set<string>,
): Promise<boolean> {
  if (errno !== UNKNOWN_TIME_ZONE) return false;
  const zone = unknownZone(said) ?? unknownZone(await saidByWorker(session));
  if (zone === null || zones.has(zone)) return false;
  zones.add(zone);
  return makeTimeZone((statement) => session.query(statement), zone);
}

/** MySQL's status has the number and the place alone where several appliers are at it. */
async function saidByWorker(session: Connection): Promise<string> {
  if (session.server.flavour === 'mariadb') return '';
  const rows = await session.query<{ said: string }>(
    `SELECT last_error_message AS said FROM performance_schema.replication_applier_status_by_worker
      WHERE last_error_number = ${UNKNOWN_TIME_ZONE}`,
  );
  return rows.map(({ said }) => said).join('\n');
}

/** Numbers: "Server Error Message Reference" of MySQL's manual; they are the same in MariaDB. */
const FULL_DISK = [3, 1021, 1114, 3170];
const UNKNOWN_TIME_ZONE = 1298;

function applierFailure({ file, position, errno, said }: Status, { files }: Batch): HoldfastError {
  const found = files.find(({ relay }) => relay === file);
  // The server's text names the end of the transaction; its words may quote the row, so they are not repeated.
  const end = /end_log_pos (\d+)/.exec(said)?.[1];
  const where = `${found?.log ?? file}:${end ?? position}`;
  if (FULL_DISK.includes(errno) || /Errcode: 28\b/.test(said)) {
    return new HoldfastError(
      'NotEnoughSpace',
      `the disk of the instance ran full while it replayed ${where}`,
      {
        hint: 'free space on the site and resume: what is replayed already is kept',
      },
    );
  }
  if (errno === UNKNOWN_TIME_ZONE) {
    return new HoldfastError(
      'NotSupported',
      `the transaction at ${where} was made in a time zone by name, and the copy knows none (error ${errno})`,
      {
        hint: 'take the next backup by a user who may read the mysql.time_zone tables, which come with it then',
      },
    );
  }
  return new HoldfastError(
    'CheckFailed',
    `the logs do not fit the base: the restored server refused the transaction at ${where} (error ${errno})`,
    {
      hint: 'a row that is missing or there twice means that backup and logs are not of the same server, or that it was written to around its log; restore from another backup: --backup <id> of holdfast catalog',
    },
  );
}

function ended(place: InstancePlace): HoldfastError {
  return new HoldfastError('ToolFailed', 'the restored server ended by itself while it replayed', {
    hint: `see the server log below ${place.directory}; the next attempt goes on where that is possible`,
  });
}
