import type { ClientBase } from 'pg';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { runTool } from '../process.ts';
import { withConnection } from './connection.ts';
import { instanceAccess, layoutOf } from './place.ts';
import { postgresProgram } from './programs.ts';
import type { ReplayState } from './replay-state.ts';
import { writeReplayState } from './replay-state.ts';

/*
 * A DROP, a TRUNCATE or an ALTER puts its exclusive locks into the log as it takes them. A recovery to just before
 * its commit has replayed these, and while it is paused the startup process holds them: whoever reads the table
 * waits for ever. Only the end of the recovery rolls the transaction back. The copy cannot be replayed further then.
 */

const PROMOTE_WITHIN_S = 600;

/** Ends the recovery of a paused copy where transactions that were under way keep tables from being read. */
export async function endWhereLocked<T extends ReplayState>(
  place: InstancePlace,
  state: T,
  run: Run,
): Promise<T> {
  const locked = await ask(place, state, run, isLocked);
  return locked ? endReplay(place, state, run) : state;
}

/** Ends a recovery that is paused where it should end; one that an earlier attempt has ended is only looked at. */
export async function endReplay<T extends ReplayState>(place: InstancePlace, state: T, run: Run): Promise<T> {
  // Written before: of a copy that was promoted nobody could tell later who did it.
  await writeReplayState(place, { ...state, ended: { nextXid: null } });
  await endRecovery(place, state.serverMajor, run);
  const nextXid = await ask(place, state, run, nextTransaction);
  const ended = { ...state, ended: { nextXid } };
  await writeReplayState(place, ended);
  // Prepared transactions outlive the end of a recovery, with their locks.
  await ask(place, state, run, requireUnlocked);
  return ended;
}

/**
 * Asks for the end of a recovery that is where it should be, and waits for it; ended already is success. By the program
 * and not by SQL: the user of the connection need not have the right to it.
 */
export async function endRecovery(place: InstancePlace, serverMajor: number, run: Run): Promise<void> {
  const program = await postgresProgram('pg_ctl', serverMajor);
  const wait = ['-w', '-t', String(PROMOTE_WITHIN_S)];
  let isEnded = false;
  await runTool(program, ['promote', '-D', layoutOf(place).data, ...wait], {
    signal: run.signal,
    user: place.user,
    classify: ({ output }) => {
      isEnded = /server is not in standby mode/.test(output);
      return undefined;
    },
  }).catch((error: unknown) => {
    if (!isEnded) throw error;
  });
}

/** Whether nothing was written into a copy whose recovery was ended: every write takes a transaction's number. */
export async function isUntouched(
  place: InstancePlace,
  state: ReplayState,
  nextXid: string,
  run: Run,
): Promise<boolean> {
  return (await ask(place, state, run, nextTransaction)) === nextXid;
}

/** The number that the next transaction will have: whatever is written meanwhile takes it. */
export async function nextTransaction(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ next: string }>(
    'SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text AS next',
  );
  return rows[0]?.next as string;
}

/** Locks on relations that a transaction of production's left behind, in whatever db. */
async function isLocked(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE a.backend_type = 'startup' AND l.locktype = 'relation' AND l.granted) AS locked`,
  );
  return rows[0]?.locked === true;
}

async function requireUnlocked(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ gid: string }>(
    `SELECT p.gid FROM pg_catalog.pg_prepared_xacts p
      WHERE EXISTS (SELECT FROM pg_catalog.pg_locks l
        WHERE l.pid IS NULL AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock')`,
  );
  if (rows.length === 0) return;
  throw new HoldfastError(
    'TargetNotReached',
    `at the target ${rows.length} prepared transactions hold tables, so that these cannot be read`,
    { hint: 'choose a target before they were prepared, or after they were decided' },
  );
}

function ask<T>(
  place: InstancePlace,
  state: ReplayState,
  run: Run,
  work: (client: ClientBase) => Promise<T>,
): Promise<T> {
  const session = { signal: run.signal, applicationName: 'replay' };
  return withConnection(instanceAccess(place, state), session, work);
}
