import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { InstancePlace, RestoredTables, RestoreTablesInput } from '../../engine.ts';
import { withConnection } from '../connection.ts';
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
import { type Contents, contentsOf, type Owned } from './contents.ts';
import { neededFor } from './needed.ts';
import { makeRoles } from './roles.ts';

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

/** Gives what people have to know of it. */
async function fill(input: RestoreTablesInput, run: Run): Promise<string[]> {
  const { place, globals } = input;
  const { pgRestore } = await dumpPrograms(input.serverMajor);
  const restoring = { pgRestore, place, signal: run.signal };
  const access = instanceAccess(place, input);
  if (globals !== null) {
    run.progress({ phase: 'making roles' });
    await ask(admin(input), run, (client) => makeRoles(client, globals));
  }
  run.progress({ phase: 'making the definitions' });
  const contents = contentsOf(await listContents(input, restoring));
  const whole = input.tables === null;
  await dropFresh(input, run);
  const made = await restoreEntries(
    input,
    {
      access: admin(input),
      listFile: await writeList(place, 'definitions', contents.definitions),
      options: ['--no-tablespaces', '--create', ...(whole ? ['--section=pre-data'] : [])],
    },
    restoring,
  );
  await requireDatabase(input, made, run);
  const named = await resolve(input, access, made, run);
  const rows = await ask(access, run, (client) => entriesFor(client, contents, named));
  const filled = await restoreEntries(
    input,
    { access, listFile: await writeList(place, 'rows', rows), options: [] },
    {
      ...restoring,
      onBytes: (done) =>
        run.progress({
          ...{ phase: 'reading the dump', done, total: input.sizeBytes, unit: 'bytes' },
          detail: named?.join(', ') ?? 'all tables',
        }),
    },
  );
  run.progress({ phase: whole ? 'making indexes, constraints and triggers' : 'making triggers' });
  const late = whole ? [...contents.definitions, ...contents.triggers] : contents.triggers;
  const behind = await restoreEntries(
    input,
    {
      access,
      listFile: await writeList(place, 'late', late),
      options: ['--no-tablespaces', ...(whole ? ['--section=post-data'] : [])],
      besideRows: true,
    },
    restoring,
  );
  made.errors.push(...behind.errors);
  // Rows of what this site cannot make have nowhere to go: which tables lack rows is seen by counting.
  const excused = named === null && made.errors.length > 0;
  if (!excused) requireRows(input, filled);
  await analyze(access, named, run);
  return noticesOf(excused ? [...made.errors, ...filled.errors] : made.errors);
}

async function entriesFor(client: pg.Client, contents: Contents, named: string[] | null): Promise<string[]> {
  if (named === null) return contents.rows;
  const { tables, sequences } = await neededFor(client, named);
  return contents.rowsOf(tables, sequences);
}

/** A new server has dbs of these names already, in its own encoding. */
async function dropFresh(input: RestoreTablesInput, run: Run): Promise<void> {
  if (!['postgres', 'template1'].includes(input.database)) return;
  await ask(admin(input), run, async (client) => {
    await client.query('SET default_transaction_read_only = off');
    await client.query(`ALTER DATABASE ${input.database} IS_TEMPLATE false`);
    await client.query(`DROP DATABASE ${input.database}`);
  });
}

async function requireDatabase(input: RestoreTablesInput, { errors }: Restored, run: Run): Promise<void> {
  const there = await ask(admin(input), run, (client) =>
    client.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [input.database]),
  );
  if (there.rowCount === 1) return;
  throw new HoldfastError(
    'CheckFailed',
    `db "${input.database}" of backup ${input.backup} could not be made on this site: ${errors[0] ?? 'nobody said why'}`,
    { hint: 'give the site the locale that the db has, then start the runbook again' },
  );
}

type Named = Pick<Owned, 'schema' | 'name'>;

async function tablesWithRows(client: pg.Client, named: string[] | null): Promise<Named[]> {
  if (named !== null) return (await neededFor(client, named)).tables;
  return (await listTables(client)).filter(({ partitioned }) => !partitioned);
}

async function hasUnlogged(client: pg.ClientBase): Promise<boolean> {
  const { rowCount } = await client.query(
    "SELECT FROM pg_catalog.pg_class WHERE relkind = 'r' AND relpersistence = 'u'",
  );
  return (rowCount ?? 0) > 0;
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
    {
      hint: 'where a check, generated column or index of the table reads another one, name that too with --table; else recover the rows with holdfast restore pitr',
    },
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

/** A db beside the one that is made anew. */
const admin = ({ place, user, database }: RestoreTablesInput): ServerAccess =>
  instanceAccess(place, { user, database: database === 'template1' ? 'postgres' : 'template1' });

function ask<T>(access: ServerAccess, run: Run, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withConnection(access, { signal: run.signal, applicationName: 'restore' }, work);
}

async function writeList(place: InstancePlace, name: string, lines: readonly string[]): Promise<string> {
  const path = join(layoutOf(place).configuration, `${name}.list`);
  await writeOwned(place, path, lines.map((line) => `${line}\n`).join(''));
  return path;
}
