import type { Run } from '../../../model/progress.ts';
import type { RestoredTables, RestoreTablesInput } from '../../contract/restore.ts';
import { withConnection } from '../connection.ts';
import { requireIsolation } from '../isolation.ts';
import { loadAccounts, loadDeferred, loadDump } from '../load.ts';
import { instanceAccess, instanceUrl } from '../place.ts';
import { type ReplayState, readReplayState, writeReplayState } from '../replay-state.ts';
import { startForLoading } from '../restore.ts';
import { ensureRunning, stop } from '../server.ts';
import { findNamed, listTables, namesOf } from './tables.ts';

/**
 * Engine.restoreTables: a new, isolated server with the definitions of the whole db and the rows of some tables, or all
 * of them. Once filled the copy is read-only for everybody but Holdfast. A second run keeps a copy that is complete.
 * Throws UnknownTable, BackupUnusable, CheckFailed, NotEnoughSpace.
 */
export async function restoreTables(input: RestoreTablesInput, run: Run): Promise<RestoredTables> {
  const { place, backup } = input;
  // Refused before anything is made: a name that cannot be one of this db's tables.
  const named = input.tables === null ? null : namesOf(input.tables, input.database);
  const before = await readReplayState(place);
  try {
    if (before?.copy !== undefined && before.backup === backup) {
      await ensureRunning(place, run);
      return await restored(input, before, run);
    }
    const state = await fill(input, named, run);
    await requireIsolation(place, run);
    return await restored(input, state, run);
  } catch (error) {
    await stop(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

async function fill(input: RestoreTablesInput, named: string[] | null, run: Run): Promise<ReplayState> {
  const { place, backup, serverMajor, globals, others = [] } = input;
  const state = await startForLoading(input, run);
  const loading = { place, serverMajor, backup };
  const deferred = globals === null ? [] : await loadAccounts(loading, globals, run);
  // Rows of a table whose name differs in capitals alone may come with it: no harm.
  const wanted = named?.map((name) => name.toLowerCase());
  const hasRows = (table: string) => wanted?.includes(table.toLowerCase()) !== false;
  deferred.push(...(await loadDump(loading, input, hasRows, run)));
  for (const other of others) deferred.push(...(await loadDump(loading, other, () => true, run)));
  const notices = await loadDeferred(loading, deferred, run);
  await withConnection(instanceAccess(place), run, (session) => session.query('SET GLOBAL read_only = ON'), {
    applicationName: 'load',
  });
  const filled = { ...state, notices, isLoaded: true, copy: { position: input.position } };
  await writeReplayState(place, filled);
  return filled;
}

async function restored(
  input: RestoreTablesInput,
  { notices }: ReplayState,
  run: Run,
): Promise<RestoredTables> {
  const { place, database, position } = input;
  const access = instanceAccess(place, database);
  const all = await withConnection(access, run, (session) => listTables(session, database), {
    applicationName: 'restore',
  });
  const named = input.tables === null ? null : findNamed(input, all);
  return {
    ...{ access, url: instanceUrl(place, database), position, lsn: position, lastTransactionAt: null },
    ...{ named, tables: named ?? all.map(({ name }) => name), notices },
  };
}
