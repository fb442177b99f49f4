import { join } from 'node:path';
import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { InstancePlace, RestoreTablesInput } from '../../contract/restore.ts';
import { quoteQualified } from '../identifier.ts';
import { instanceAccess, layoutOf, writeOwned } from '../place.ts';
import { dumpPrograms } from '../programs.ts';
import { resolveTables } from '../resolve.ts';
import { type ArchiveRun, listContents, type Restored, restoreEntries, scriptOf } from './archive.ts';
import { type Contents, contentsOf } from './contents.ts';
import { admin, ask, tablesWithRows } from './copy.ts';
import { neededFor } from './needed.ts';
import { makeRoles } from './roles.ts';

/**
 * Fills an empty server: definitions while every table is empty, so that foreign keys to tables without rows can be
 * made, then the rows, then triggers. Of a whole db in the order of the dump. Gives what people have to know of it.
 */
export async function fill(input: RestoreTablesInput, run: Run): Promise<string[]> {
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
  await makeOlder(input, restoring, run);
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

/** A pg_dump newer than 14 names the provider of the locale, which servers up to 14 do not know: they have but one. */
async function makeOlder(input: RestoreTablesInput, restoring: ArchiveRun, run: Run): Promise<void> {
  if (input.serverMajor >= 15) return;
  // With --create the db itself needs no line in a list, and has none.
  const script = await scriptOf(input, await writeList(input.place, 'database', []), restoring);
  const statement = /^CREATE DATABASE [\s\S]*?;$/m.exec(script)?.[0];
  if (statement?.includes(' LOCALE_PROVIDER = libc') !== true) return;
  await ask(admin(input), run, async (client) => {
    await client.query('SET default_transaction_read_only = off');
    await client.query(statement.replace(' LOCALE_PROVIDER = libc', ''));
  }).catch((error: unknown) => {
    // Said, with the words of pg_restore, where the db is missed.
    run.signal.throwIfAborted();
    if (error instanceof HoldfastError) throw error;
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

async function writeList(place: InstancePlace, name: string, lines: readonly string[]): Promise<string> {
  const path = join(layoutOf(place).configuration, `${name}.list`);
  await writeOwned(place, path, lines.map((line) => `${line}\n`).join(''));
  return path;
}
