import type { Readable } from 'node:stream';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { DumpSource, InstancePlace } from '../contract/restore.ts';
import { decompress } from '../zstd.ts';
import { withConnection } from './connection.ts';
import { filledTable, isForbidden, isView, kindOf } from './dumped/kind.ts';
import { openScriptSession, type ScriptSession } from './dumped/script-session.ts';
import { runSideBySide } from './dumped/side-by-side.ts';
import { statements } from './dumped/statements.ts';
import { flavourOf } from './flavour.ts';
import { quoteIdentifier } from './identifier.ts';
import { ownAccountStatements } from './own-accounts.ts';
import { instanceAccess } from './place.ts';

/** A statement that may succeed once more of the backup is there, in the manner of the session that it stood in. */
export interface Deferred {
  /** null: of no db */
  database: string | null;
  statement: string;
  manner: string[];
  errno: number;
}

export interface Loading {
  place: InstancePlace;
  serverMajor: number;
  /** how people call the backup */
  backup: string;
}

/**
 * Accounts and their rights, before what names them as its definer. What cannot be made yet, for instance a right on a
 * table, is given back to be tried again.
 */
export async function loadAccounts(loading: Loading, globals: string, run: Run): Promise<Deferred[]> {
  run.progress({ phase: 'making accounts' });
  const deferred: Deferred[] = [];
  await withSession(loading, '', run, async (session) => {
    for await (const statement of statements([Buffer.from(globals)] as unknown as AsyncIterable<Buffer>)) {
      // To act as others is of no use in a copy, and only who may do so himself could grant it.
      if (isForbidden(statement) || /^GRANT PROXY /i.test(statement)) continue;
      const errno = await session.refusal(statement);
      if (errno !== null) deferred.push({ database: null, statement, manner: [], errno });
    }
  });
  await restoreOwnAccounts(loading, run);
  return deferred;
}

/** Whatever was done to accounts of their names. */
export async function restoreOwnAccounts({ place, serverMajor }: Loading, run: Run): Promise<void> {
  await withSession({ place }, '', run, async (session) => {
    for (const statement of ownAccountStatements(serverMajor)) await session.rows(statement);
  });
}

/**
 * Loads the dump of a db, in place of what is there of it: all of it, or with the rows of these tables alone. Views that
 * cannot be made yet are given back; any other refusal is an error. Throws BackupUnusable, CheckFailed, NotEnoughSpace.
 */
export async function loadDump(
  loading: Loading,
  source: DumpSource,
  hasRows: (table: string) => boolean,
  run: Run,
): Promise<Deferred[]> {
  const { database } = source;
  const deferred: Deferred[] = [];
  const name = quoteIdentifier(database);
  await withConnection(
    instanceAccess(loading.place),
    run,
    // The dump makes it, with the character set of production's.
    (session) => session.execute(`DROP DATABASE IF EXISTS ${name}`),
    // A session of an attempt that was killed may still be at its last statement.
    { applicationName: 'load', lockTimeoutMs: 24 * 60 * 60_000 },
  );
  await withSessions(loading, run, async (sessions) => {
    await reading(loading, source, run, async (script) => {
      await runSideBySide(sessions, loadable(script, hasRows), async (statement, errno) => {
        if (!isView(statement)) throw refused(loading, database, statement, errno);
        deferred.push({ database, statement, manner: await mannerOf(sessions[0]), errno });
      });
    });
  });
  return deferred;
}

async function* loadable(script: Readable, hasRows: (table: string) => boolean): AsyncGenerator<string> {
  for await (const statement of statements(script)) {
    const table = filledTable(statement);
    if (table === null ? !isForbidden(statement) : hasRows(table)) yield statement;
  }
}

/** How a view's text is read: the dump has it in the session. */
async function mannerOf(session: ScriptSession): Promise<string[]> {
  const [row] = await session.rows<{ client: string; collation: string; mode: string }>(
    'SELECT @@character_set_client AS client, @@collation_connection AS collation, @@sql_mode AS mode',
  );
  return row === undefined
    ? []
    : [
        `SET character_set_client = ${row.client}`,
        `SET collation_connection = ${row.collation}`,
        `SET sql_mode = '${row.mode}'`,
      ];
}

/**
 * Tries again what was put off, as long as any of it succeeds: a view may need another one, of another db. Gives in
 * words what cannot be made here.
 */
export async function loadDeferred(loading: Loading, all: Deferred[], run: Run): Promise<string[]> {
  let left = all;
  for (let before = -1; left.length > 0 && left.length !== before; ) {
    before = left.length;
    run.progress({ phase: 'making views and rights', done: all.length - left.length, total: all.length });
    const still: Deferred[] = [];
    for (const one of left) {
      const errno = await withSession(loading, one.database ?? '', run, async (session) => {
        for (const statement of one.manner) await session.rows(statement);
        return session.refusal(one.statement);
      });
      if (errno !== null) still.push({ ...one, errno });
    }
    left = still;
  }
  await restoreOwnAccounts(loading, run);
  return noticesOf(left);
}

function noticesOf(left: readonly Deferred[]): string[] {
  const counted = new Map<string, number>();
  for (const { database, statement, errno } of left) {
    const where = database === null ? 'of accounts' : `of db ${database}`;
    const what = `${kindOf(statement)} ${where} (error ${errno})`;
    counted.set(what, (counted.get(what) ?? 0) + 1);
  }
  return [...counted].map(
    ([what, count]) => `not everything of the backup could be made here: ${count} × ${what}`,
  );
}

function refused({ backup }: Loading, database: string, statement: string, errno: number): HoldfastError {
  return new HoldfastError(
    'CheckFailed',
    `the restored server refused a statement of backup ${backup}, ${kindOf(statement)} in db ${database} (error ${errno})`,
    {
      hint: 'see what the number means in the manual of the server; another backup may do (holdfast catalog lists them)',
    },
  );
}

async function withSession<T>(
  { place }: Pick<Loading, 'place'>,
  database: string,
  run: Run,
  work: (session: ScriptSession) => Promise<T>,
): Promise<T> {
  const session = await openScriptSession(instanceAccess(place, database), run);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Two at MySQL, whose one session leaves a core idle; MariaDB's rows of two take no less time (measured with 10.11). */
async function withSessions(
  loading: Loading,
  run: Run,
  work: (sessions: readonly [ScriptSession, ...ScriptSession[]]) => Promise<void>,
): Promise<void> {
  await withSession(loading, '', run, (first) =>
    flavourOf(loading.serverMajor) === 'mysql'
      ? withSession(loading, '', run, (second) => work([first, second]))
      : work([first]),
  );
}

/** Work on the decompressed dump. Where it fails, whatever failed before it is the cause. */
async function reading(
  { backup, place }: Loading,
  source: DumpSource,
  run: Run,
  work: (script: Readable) => Promise<void>,
): Promise<void> {
  const { zstd, broken, ended, close } = decompress(
    { backup, open: (signal) => source.open(signal) },
    {
      ...{ signal: run.signal, cwd: place.directory },
      onBytes: (done) =>
        run.progress({
          ...{ phase: 'loading the dump', done, total: source.sizeBytes, unit: 'bytes' as const },
          detail: `db ${source.database}`,
        }),
    },
  );
  try {
    await work(zstd.stdout);
    const failure = await ended;
    if (failure !== null) throw failure;
  } catch (error) {
    run.signal.throwIfAborted();
    const pending = Symbol('pending');
    const first = await Promise.race([broken, ended, Promise.resolve(pending)]);
    throw first instanceof HoldfastError && first.type !== 'ToolFailed' ? first : error;
  } finally {
    await close();
  }
}
