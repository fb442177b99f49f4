import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { type FailureType, HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { describeTarget, isExclusive } from '../../model/target.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { readIfThere } from '../owned-files.ts';
import { withConnection } from './connection.ts';
import { type InstanceParameters, parameterTooLow } from './control-data.ts';
import { isServer, logInReplay } from './instance-processes.ts';
import { instanceAccess } from './place.ts';
import type { Reached, ReplayState } from './replay-state.ts';
import { failureOfServer, gap, numberOf, stopPosition } from './server-log.ts';
import { missingLogsFile } from './settings.ts';

const POLL_MS = 250;

export interface Wait {
  pid: number;
  state: ReplayState;
  /** the last log known to be in the repository */
  lastLog: string | null;
}

interface Snapshot {
  paused: boolean;
  lsn: string;
  lastTransactionAt: string | null;
}

/**
 * Waits until a server has reached its target and is paused there, and proves it. `tooLow` says that the
 * primary raised a parameter on the way: start again with it. Throws what the server's log says where it
 * ended, TargetNotReached and LogGap among them.
 */
export async function awaitPause(
  place: InstancePlace,
  wait: Wait,
  run: Run,
): Promise<Reached | { tooLow: Partial<InstanceParameters> }> {
  const first = await logInReplay(place, wait.pid);
  let before: Snapshot | null = null;
  let isAtEnd = false;
  for (;;) {
    run.signal.throwIfAborted();
    const alive = await isServer(place, wait.pid);
    const now = alive ? await look(place, wait.state, run.signal, isAtEnd) : null;
    const ready =
      now !== null && 'latest' in wait.state.target ? await endOfLogs(place, wait, before, now, run) : now;
    // Read last: it has to tell why the server has ended, or is paused, by now.
    const log = (await readIfThere(wait.state.log)) ?? '';
    const tooLow = parameterTooLow(log);
    if (tooLow !== null) return { tooLow };
    if (!alive) throw await failure(place, wait, log);
    if (ready?.paused) return prove(wait, log, ready, await missingLog(place));
    run.progress(await progressOf(place, wait, first, now));
    before = now;
    isAtEnd = stopPosition(log) !== null || (await missingLog(place))?.again === true;
    await sleep(POLL_MS, undefined, { signal: run.signal });
  }
}

/** What a server says that has not replayed yet what made the user, its rights or the db. */
const TOO_EARLY: readonly FailureType[] = [
  'AuthenticationFailed',
  'InvalidConfiguration',
  'PermissionDenied',
];

/** Null while the server does not answer yet, or refuses what it may know by the end of the replay. */
async function look(
  place: InstancePlace,
  server: { user: string; database: string },
  signal: AbortSignal,
  isAtEnd: boolean,
): Promise<Snapshot | null> {
  try {
    return await ask(place, server, signal, snapshot);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    if (error.type === 'ConnectionFailed' || (!isAtEnd && TOO_EARLY.includes(error.type))) return null;
    throw error;
  }
}

function ask<T>(
  place: InstancePlace,
  server: { user: string; database: string },
  signal: AbortSignal,
  work: (client: ClientBase) => Promise<T>,
): Promise<T> {
  return withConnection(instanceAccess(place, server), { signal, applicationName: 'replay' }, work);
}

async function snapshot(client: ClientBase): Promise<Snapshot> {
  const { rows } = await client.query<{ state: string; lsn: string; at: string | null }>(`
    SELECT ${await pauseState(client)} AS state,
      pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text AS lsn,
      pg_catalog.to_char(pg_catalog.pg_last_xact_replay_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`);
  const row = rows[0] as { state: string; lsn: string; at: string | null };
  return { paused: row.state === 'paused', lsn: row.lsn, lastTransactionAt: row.at };
}

/** PostgreSQL 13 only knows that a pause was asked for; at a recovery target that comes to the same. */
async function pauseState(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ new: boolean }>(
    `SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000 AS new`,
  );
  return rows[0]?.new
    ? 'pg_catalog.pg_get_wal_replay_pause_state()'
    : `CASE WHEN pg_catalog.pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END`;
}

/**
 * The end of the logs, for `latest`: the server waits for a log that the repository does not hold, and its
 * position no longer moves. Then it is paused. Throws LogGap where a later log is in the repository.
 */
async function endOfLogs(
  place: InstancePlace,
  { lastLog, state }: Wait,
  before: Snapshot | null,
  now: Snapshot,
  run: Run,
): Promise<Snapshot | null> {
  if (now.paused) return now;
  const missing = await missingLog(place);
  if (missing === null || !missing.again || before?.lsn !== now.lsn) return null;
  if (isArchived(missing, lastLog)) throw gap(missing.log, lastLog as string);
  await ask(place, state, run.signal, (client) => client.query('SELECT pg_catalog.pg_wal_replay_pause()'));
  return null;
}

/** The log that was last asked for in vain; `again`: more than once, so that the server waits for it. */
interface MissingLog {
  log: string;
  again: boolean;
}

async function missingLog(place: InstancePlace): Promise<MissingLog | null> {
  const text = (await readIfThere(missingLogsFile(place))) ?? '';
  const logs = text.split('\n').filter((name) => /^[0-9A-F]{24}$/.test(name));
  const log = logs.at(-1);
  if (log === undefined) return null;
  return { log, again: logs.filter((name) => name === log).length > 1 };
}

/** Whether a log that was asked for in vain is not beyond the last one of the repository, on whatever timeline. */
function isArchived({ log }: MissingLog, lastLog: string | null): boolean {
  return lastLog !== null && log.slice(8) <= lastLog.slice(8);
}

async function failure(place: InstancePlace, { state, lastLog }: Wait, log: string): Promise<HoldfastError> {
  const missing = await missingLog(place);
  return failureOfServer({ ...state, log, lastLog, missingLog: missing?.log ?? null });
}

/** A pause is not yet the target: a person may have asked for it, or the server itself for another reason. */
function prove(
  { state, lastLog }: Wait,
  log: string,
  { lsn, lastTransactionAt }: Snapshot,
  missing: MissingLog | null,
): Reached {
  const { target } = state;
  const stopped = stopPosition(log);
  if ('latest' in target ? missing === null || isArchived(missing, lastLog) : stopped === null) {
    throw new HoldfastError(
      'TargetNotReached',
      `the restored server paused at ${lsn} without having reached ${describeTarget(target)}`,
      { hint: 'see the server log of the instance' },
    );
  }
  if (
    'time' in target &&
    lastTransactionAt !== null &&
    isLater(lastTransactionAt, target.time, isExclusive(target))
  ) {
    throw new HoldfastError(
      'TargetNotReached',
      `the restored server holds a commit of ${lastTransactionAt}, which is beyond ${describeTarget(target)}`,
      { hint: 'restore the files again, then replay' },
    );
  }
  const position =
    stopped ?? `end of the logs${lastTransactionAt === null ? '' : `, last commit ${lastTransactionAt}`}`;
  return { position, lsn, lastTransactionAt };
}

/** Compares times to the microsecond, which Date cannot hold. */
export function isLater(time: string, limit: string, orEqual: boolean): boolean {
  const [a, b] = [microseconds(time), microseconds(limit)];
  return orEqual ? a >= b : a > b;
}

function microseconds(time: string): bigint {
  const fraction = /[.](\d{1,6})/.exec(time)?.[1]?.padEnd(6, '0') ?? '0';
  const offset = /([+-]\d\d)(?::?(\d\d))?$/.exec(time.slice(10));
  const zone = offset === null ? 'Z' : `${offset[1]}:${offset[2] ?? '00'}`;
  const whole = time
    .replace(' ', 'T')
    .replace(/[.]\d+/, '')
    .replace(/(?:Z|(?<=T.*)[+-]\d\d(?::?\d\d)?)$/, '');
  return BigInt(Date.parse(`${whole}${zone}`)) * 1_000n + BigInt(fraction);
}

async function progressOf(
  place: InstancePlace,
  { pid, lastLog }: Wait,
  first: string | null,
  now: Snapshot | null,
) {
  const current = numberOf(await logInReplay(place, pid));
  const [from, to] = [numberOf(first), numberOf(lastLog)];
  const counted =
    current === null || from === null || to === null || to < from
      ? {}
      : { done: Number(current - from), total: Number(to - from) + 1, unit: 'segments' as const };
  const detail =
    now === null ? {} : { detail: `at ${[now.lsn, now.lastTransactionAt].filter(Boolean).join(', ')}` };
  return { phase: 'replaying logs', ...counted, ...detail };
}
