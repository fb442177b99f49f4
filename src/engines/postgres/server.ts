import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { lost, newLogIn, startDetached } from '../detached-server.ts';
import { readIfThere } from '../owned-files.ts';
import { withConnection } from './connection.ts';
import { endServer, endStrays, isServer, serverPid } from './instance-processes.ts';
import { instanceAccess, layoutOf } from './place.ts';
import { postgresProgram } from './programs.ts';
import { isUntouched } from './replay-end.ts';
import { isComplete, type ReplayState, readReplayState, writeReplayState } from './replay-state.ts';
import { awaitPause } from './replay-wait.ts';
import { failureOfServer } from './server-log.ts';
import { writeSettings } from './settings.ts';

const ORDERLY_STOP_MS = 5_000;
const START_POLL_MS = 250;

/** Ends every process of an instance. Not-found is success. */
export async function stop(place: InstancePlace): Promise<void> {
  await endServer(place, ORDERLY_STOP_MS);
  await endStrays(place);
}

/**
 * Whether the restored server runs, read-only and where its replay stopped; starts it again where its process
 * ended, without the repository: the logs from its last restart point to the target are in its own pg_wal. It
 * pauses at the same position. Throws InstanceLost where there was no finished replay, or somebody moved it on:
 * what is compared and imported is the moment of the target and nothing else.
 */
export async function ensureRunning(place: InstancePlace, run: Run): Promise<void> {
  const state = await readReplayState(place);
  if (state?.reached == null) throw lost(place, 'its replay was not finished');
  if (state.production !== undefined) return ensureProduction(place, state, run);
  if (state.ended !== undefined) return ensureEnded(place, state, run);
  if ((await serverPid(place)) !== null) {
    await requirePosition(place, state, state.reached.lsn, run);
  } else {
    if (!(await isComplete(state))) throw lost(place, 'the machine was restarted since');
    await endStrays(place);
    const log = newLog(place);
    await writeSettings(place, { ...state, archiveGet: null, fsync: state.durable === true });
    const pid = await startServer(place, { serverMajor: state.serverMajor, log, environment: {} });
    const restarted = { ...state, log };
    const reached = await awaitPause(place, { pid, state: restarted, lastLog: null }, run);
    if ('tooLow' in reached || reached.lsn !== state.reached.lsn) {
      await stop(place);
      throw lost(place, 'it did not come back to the same position');
    }
    await writeReplayState(place, restarted);
  }
}

/** The same of a copy whose recovery was ended at its target: there is nothing to replay any more. */
async function ensureEnded(place: InstancePlace, state: ReplayState, run: Run): Promise<void> {
  const nextXid = state.ended?.nextXid ?? null;
  if (nextXid === null) throw lost(place, 'its recovery was not ended orderly');
  if ((await serverPid(place)) === null) {
    if (!(await isComplete(state))) throw lost(place, 'the machine was restarted since');
    if (state.ended?.unlogged) throw lost(place, 'it has unlogged tables, which its end has emptied');
    await endStrays(place);
    const log = newLog(place);
    await writeSettings(place, { ...state, archiveGet: null, fsync: state.durable === true });
    const pid = await startServer(place, { serverMajor: state.serverMajor, log, environment: {} });
    await awaitAnswer(place, state, pid, run);
    await writeReplayState(place, { ...state, log });
  }
  if (!(await isUntouched(place, state, nextXid, run))) {
    throw lost(place, 'somebody has written into it, and may have changed its rows');
  }
}

/** The same of one that took a database over: it writes, so only that it runs can be asked. */
async function ensureProduction(place: InstancePlace, state: ReplayState, run: Run): Promise<void> {
  if (state.production?.taken == null) throw lost(place, 'it did not become production yet');
  if ((await serverPid(place)) !== null) return;
  await endStrays(place);
  const log = newLog(place);
  const pid = await startServer(place, {
    ...{ serverMajor: state.serverMajor, log, environment: {}, withGroups: true },
  });
  await writeReplayState(place, { ...state, log });
  await awaitAnswer(place, state, pid, run).catch(async (error: unknown) => {
    if (!(error instanceof HoldfastError) || error.type !== 'InstanceLost') throw error;
    // Unlike a copy it cannot be made again: why it does not start is what people need.
    throw failureOfServer({ ...state, log: (await readIfThere(log)) ?? '', lastLog: null, missingLog: null });
  });
}

/** Waits until a started server takes sessions. Throws InstanceLost where its process ends instead. */
export async function awaitAnswer(
  place: InstancePlace,
  state: { user: string; database: string; production?: { port: number } },
  pid: number,
  run: Run,
): Promise<void> {
  const session = { signal: run.signal, applicationName: 'start' };
  while (await isServer(place, pid)) {
    try {
      return await withConnection(instanceAccess(place, state), session, async () => {});
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.type !== 'ConnectionFailed') throw error;
      await sleep(START_POLL_MS, undefined, { signal: run.signal });
    }
  }
  throw lost(place, 'it did not start again');
}

/** A person whom `holdfast connect` let in may have promoted the copy, or let its replay go on. */
async function requirePosition(
  place: InstancePlace,
  server: { user: string; database: string },
  lsn: string,
  run: Run,
): Promise<void> {
  const session = { signal: run.signal, applicationName: 'position', statementTimeoutMs: 60_000 };
  const at = await withConnection(instanceAccess(place, server), session, async (client) => {
    const { rows } = await client.query<{ replayed: string | null }>(
      `SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
         THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text END AS replayed`,
    );
    return rows[0]?.replayed ?? null;
  });
  if (at === null) throw lost(place, 'somebody has promoted it, and may have changed its rows');
  if (at !== lsn) throw lost(place, `somebody has let it go on to ${at}, beyond the target at ${lsn}`);
}

export interface ServerStart {
  serverMajor: number;
  log: string;
  environment: Record<string, string>;
  /** for this start only */
  settings?: Record<string, string>;
  /** with all groups of its user, one of which may be who reads the TLS key */
  withGroups?: boolean;
}

/**
 * Starts the server of a place detached: it outlives this worker, and the next attempt finds it. Its
 * environment is all that it knows of the repository. Gives its pid; it need not be ready.
 */
export async function startServer(place: InstancePlace, start: ServerStart): Promise<number> {
  const { data, configuration } = layoutOf(place);
  const postgres = await postgresProgram('postgres', start.serverMajor);
  await removeStaleLock(place);
  return startDetached(place, {
    program: postgres,
    args: [
      ...['-D', data, '-c', `config_file=${join(configuration, 'postgresql.conf')}`],
      ...Object.entries(start.settings ?? {}).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    ...{ folder: data, log: start.log },
    ...{ environment: start.environment, withGroups: start.withGroups === true },
  });
}

export function newLog(place: InstancePlace): string {
  return newLogIn(layoutOf(place).logs);
}

/**
 * A server that was killed leaves its lock files. pgBackRest takes one for a running server, and so does PostgreSQL
 * where that process was not waited for by anybody, as in a container without an init.
 */
export async function removeStaleLock(place: InstancePlace): Promise<void> {
  if ((await serverPid(place)) !== null) return;
  const { data, sockets } = layoutOf(place);
  await rm(join(data, 'postmaster.pid'), { force: true });
  for (const name of await readdir(sockets)) {
    if (/^\.s\.PGSQL\.\d+(?:\.lock)?$/.test(name)) await rm(join(sockets, name), { force: true });
  }
}
