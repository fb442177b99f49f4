import { rm } from 'node:fs/promises';
import type pg from 'pg';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { RestoredTables, RestoreTablesInput } from '../../contract/restore.ts';
import { bootId } from '../../instance-state.ts';
import type { InstanceParameters } from '../control-data.ts';
import { endStrays } from '../instance-processes.ts';
import { requireIsolation } from '../isolation.ts';
import { instanceAccess, layoutOf, prepareLayout } from '../place.ts';
import { postgresProgram } from '../programs.ts';
import { nextTransaction } from '../replay-end.ts';
import {
  type Reached,
  type ReplayState,
  readReplayState,
  requireNoProduction,
  resultOf,
  writeReplayState,
} from '../replay-state.ts';
import { resolveTables } from '../resolve.ts';
import { awaitAnswer, ensureRunning, newLog, startServer, stop } from '../server.ts';
import { writeSettings } from '../settings.ts';
import { makeCluster } from './archive.ts';
import { admin, ask, type Named, tablesWithRows } from './copy.ts';
import { fill } from './fill.ts';

/** Nothing of production's applies: a copy of some tables has few sessions, and no logs to replay. */
const PARAMETERS: InstanceParameters = {
  max_connections: 50,
  max_worker_processes: 8,
  max_wal_senders: 0,
  max_prepared_transactions: 0,
  // pg_dump of a table that is to be made again locks what belongs to it.
  max_locks_per_transaction: 256,
};

/**
 * Engine.restoreTables: a new, isolated server with the definitions of the whole db and the rows of some tables.
 * Once filled the copy is read-only, and whatever is written into it is noticed, as with a copy whose recovery was
 * ended. A second run keeps a copy that is complete.
 */
export async function restoreTables(input: RestoreTablesInput, run: Run): Promise<RestoredTables> {
  const { place } = input;
  const before = await readReplayState(place);
  requireNoProduction(place, before);
  if (before?.ended?.nextXid != null && before.reached !== null) {
    await ensureRunning(place, run);
    return restored(input, { ...before, reached: before.reached }, run);
  }
  try {
    const state = await startEmpty(input, run);
    const notices = await fill(input, run);
    for (const other of input.others ?? []) {
      notices.push(...(await fill({ ...input, ...other, tables: null, globals: null }, run)));
    }
    const nextXid = await ask(admin(input), run, nextTransaction);
    const unlogged = await ask(instanceAccess(place, input), run, hasUnlogged);
    const ended = { ...state, ended: { nextXid, unlogged }, notices };
    await writeReplayState(place, ended);
    await requireIsolation(place, ended, run);
    return await restored(input, ended, run);
  } catch (error) {
    await stop(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

async function restored(
  input: RestoreTablesInput,
  state: ReplayState & { reached: Reached },
  run: Run,
): Promise<RestoredTables> {
  const access = instanceAccess(input.place, input);
  const named = input.tables === null ? null : await resolveTables(access, input.tables, run);
  const tables = await ask(access, run, (client) => tablesWithRows(client, named));
  return { ...resultOf(input.place, state), named, tables: tables.map(nameOf), notices: state.notices ?? [] };
}

/** An empty server in the instance's place, whatever an earlier attempt left there. */
async function startEmpty(input: RestoreTablesInput, run: Run): Promise<ReplayState & { reached: Reached }> {
  const { place, serverMajor, user } = input;
  await stop(place);
  const { data } = layoutOf(place);
  await rm(data, { recursive: true, force: true });
  await prepareLayout(place);
  run.progress({ phase: 'making an empty server' });
  const initdb = await postgresProgram('initdb', serverMajor);
  await makeCluster(initdb, { place, data, user, signal: run.signal });
  const log = newLog(place);
  const { position, timeline } = input;
  const state = {
    ...{ target: { backup: input.backup }, timeline, serverMajor, parameters: PARAMETERS, log },
    ...{ user, database: input.database, bootId: await bootId() },
    lastLog: null,
    reached: { position, lsn: '0/0', lastTransactionAt: null },
  };
  await writeSettings(place, { ...state, archiveGet: null, fsync: false });
  await endStrays(place);
  const pid = await startServer(place, { serverMajor, log, environment: {} });
  await awaitAnswer(place, { user, database: 'template1' }, pid, run);
  return state;
}

async function hasUnlogged(client: pg.ClientBase): Promise<boolean> {
  const { rowCount } = await client.query(
    "SELECT FROM pg_catalog.pg_class WHERE relkind = 'r' AND relpersistence = 'u'",
  );
  return (rowCount ?? 0) > 0;
}

const nameOf = ({ schema, name }: Named): string => formatNameParts([schema, name]);
