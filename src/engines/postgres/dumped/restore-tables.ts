import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { InstancePlace, RestoredTables, RestoreTablesInput } from '../../engine.ts';
import { runTool } from '../../process.ts';
import { clientEnvironment, withConnection } from '../connection.ts';
import type { InstanceParameters } from '../control-data.ts';
import { listTables } from '../fingerprint.ts';
import { quoteQualified } from '../identifier.ts';
import { endStrays } from '../instance-processes.ts';
import { requireIsolation } from '../isolation.ts';
import { instanceAccess, layoutOf, prepareLayout, writeOwned } from '../place.ts';
import { dumpPrograms, postgresProgram } from '../programs.ts';
import { nextTransaction } from '../replay-end.ts';
import {
  bootId,
  type Reached,
  type ReplayState,
  readReplayState,
  resultOf,
  writeReplayState,
} from '../replay-state.ts';
import { resolveTables } from '../resolve.ts';
import { awaitAnswer, ensureRunning, newLog, startServer, stop } from '../server.ts';
import { writeSettings } from '../settings.ts';
import { listContents, makeCluster, type Restored, restoreEntries } from './archive.ts';
import { allRows, definitions, type Owned, rowsOf } from './contents.ts';
import { neededFor } from './needed.ts';
import { rolesOf } from './roles.ts';

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
 * Definitions come first, while every table is empty, so that foreign keys to tables without rows can be made;
 * then the rows, in one pass over the dump, with triggers off. From then on the copy is read-only, and whatever
 * is written into it is noticed, as with a copy whose recovery was ended. A second run keeps a copy that is complete.
 */
export async function restoreTables(input: RestoreTablesInput, run: Run): Promise<RestoredTables> {
  const { place } = input;
  const before = await readReplayState(place);
  if (before?.ended?.nextXid != null && before.reached !== null) {
    await ensureRunning(place, run);
    return restored(input, { ...before, reached: before.reached }, [], run);
  }
  try {
    const state = await startEmpty(input, run);
    const notices = await fill(input, run);
    const nextXid = await ask(admin(input), run, nextTransaction);
    const ended = { ...state, ended: { nextXid } };
    await writeReplayState(place, ended);
    await requireIsolation(place, ended, run);
    return await restored(input, ended, notices, run);
  } catch (error) {
    await stop(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

async function restored(
  input: RestoreTablesInput,
  state: ReplayState & { reached: Reached },
  notices: string[],
  run: Run,
): Promise<RestoredTables> {
  const access = instanceAccess(input.place, input);
  const named = input.tables === null ? null : await resolveTables(access, input.tables, run);
  const tables = await ask(access, run, (client) => tablesWithRows(client, named));
  return { ...resultOf(input.place, state), named, tables: tables.map(nameOf), notices };
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
  await awaitAnswer(place, { user, database: 'postgres' }, pid, run);
  return state;
}

/** Gives what people have to know of it. */
async function fill(input: RestoreTablesInput, run: Run): Promise<string[]> {
  const { place, serverMajor, globals, user } = input;
  const { pgRestore, psql } = await dumpPrograms(serverMajor);
  const restoring = { pgRestore, place, signal: run.signal };
  const access = instanceAccess(place, input);
  if (globals !== null) {
    run.progress({ phase: 'making roles' });
    await runTool(psql, ['--no-psqlrc', '--quiet', '--no-password', '--file=-'], {
      ...{ signal: run.signal, user: place.user, stdin: rolesOf(globals, user) },
      env: { ...clientEnvironment(admin(input)), PGOPTIONS: '-c default_transaction_read_only=off' },
    });
  }
  run.progress({ phase: 'making the definitions' });
  const list = await listContents(input, restoring);
  const made = await restoreEntries(
    input,
    {
      access: input.database === 'postgres' ? access : admin(input),
      listFile: await writeList(place, 'definitions', definitions(list)),
      options: ['--no-tablespaces', ...(input.database === 'postgres' ? [] : ['--create'])],
    },
    restoring,
  );
  const named = await resolve(input, access, made, run);
  const entries = await ask(access, run, (client) => entriesFor(client, list, named));
  const filled = await restoreEntries(
    input,
    {
      access,
      listFile: await writeList(place, 'rows', entries),
      options: ['--disable-triggers'],
    },
    {
      ...restoring,
      onBytes: (done) =>
        run.progress({
          ...{ phase: 'reading the dump', done, total: input.sizeBytes, unit: 'bytes' },
          detail: named?.join(', ') ?? 'all tables',
        }),
    },
  );
  requireRows(input, filled);
  await analyze(access, named, run);
  return noticesOf(made.errors);
}

async function entriesFor(client: pg.Client, list: string, named: string[] | null): Promise<string[]> {
  if (named === null) return allRows(list);
  const { tables, sequences } = await neededFor(client, named);
  return rowsOf(list, tables, sequences);
}

type Named = Pick<Owned, 'schema' | 'name'>;

async function tablesWithRows(client: pg.Client, named: string[] | null): Promise<Named[]> {
  if (named !== null) return (await neededFor(client, named)).tables;
  return (await listTables(client)).filter(({ partitioned }) => !partitioned);
}

const nameOf = ({ schema, name }: Named): string => formatNameParts([schema, name]);

/** In the copy as it was dumped: what is not there was not in the backup, or could not be made here. */
async function resolve(
  { tables, backup }: RestoreTablesInput,
  access: ServerAccess,
  { errors }: Restored,
  run: Run,
): Promise<string[] | null> {
  try {
    return await (tables === null ? ask(access, run, async () => null) : resolveTables(access, tables, run));
  } catch (error) {
    if (!(error instanceof HoldfastError) || !['UnknownTable', 'InvalidConfiguration'].includes(error.type)) {
      throw error;
    }
    if (errors.length === 0) {
      throw new HoldfastError(error.type, `in backup ${backup} ${error.message}`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
    throw new HoldfastError(
      'CheckFailed',
      `${tables?.join(', ') ?? `db ${access.database}`} could not be made from backup ${backup}: ${errors.slice(0, 3).join('; ')}`,
      { hint: 'give the site what is missing (extensions, locales), then start the runbook again' },
    );
  }
}

function requireRows({ backup }: RestoreTablesInput, { errors }: Restored): void {
  if (errors.length === 0) return;
  throw new HoldfastError(
    'CheckFailed',
    `rows of backup ${backup} could not be restored: ${errors.slice(0, 3).join('; ')}`,
    { hint: 'see the server log of the instance; keep it with holdfast connect while the runbook is parked' },
  );
}

function noticesOf(errors: readonly string[]): string[] {
  if (errors.length === 0) return [];
  const more = errors.length > 3 ? `; and ${errors.length - 3} more` : '';
  return [`not everything of the backup could be made here: ${errors.slice(0, 3).join('; ')}${more}`];
}

async function analyze(access: ServerAccess, named: string[] | null, run: Run): Promise<void> {
  run.progress({ phase: 'taking statistics' });
  await ask(access, run, async (client) => {
    await client.query('SET default_transaction_read_only = off');
    for (const { schema, name } of await tablesWithRows(client, named))
      await client.query(`ANALYZE ${quoteQualified([schema, name])}`);
  });
}

const admin = ({ place, user }: RestoreTablesInput): ServerAccess =>
  instanceAccess(place, { user, database: 'postgres' });

function ask<T>(access: ServerAccess, run: Run, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withConnection(access, { signal: run.signal, applicationName: 'restore' }, work);
}

async function writeList(place: InstancePlace, name: string, lines: readonly string[]): Promise<string> {
  const path = join(layoutOf(place).configuration, `${name}.list`);
  await writeOwned(place, path, lines.map((line) => `${line}\n`).join(''));
  return path;
}
