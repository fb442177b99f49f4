import type pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import type { Fingerprints, LogPositions, StoredObject, TableFingerprint } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { DumpedObject, LogicalDump, ObjectSink } from '../contract/backup.ts';
import { runTool, startTool } from '../process.ts';
import { putText } from '../stored-text.ts';
import { zstdVersion } from '../zstd.ts';
import { withClientEnvironment, withConnection } from './connection.ts';
import { dumpProgress } from './dump-progress.ts';
import { compressedOutput } from './dump-stream.ts';
import { type CountedTable, fingerprintTables, listTables } from './fingerprint.ts';
import { quoteQualified } from './identifier.ts';
import { readFacts } from './inspect.ts';
import { databaseNotices, serverNotices } from './notices.ts';
import { type DumpPrograms, dumpPrograms } from './programs.ts';
import { rowHashOf } from './row-hash.ts';
import { canonicalSchema } from './schema.ts';

interface DumpWork {
  access: ServerAccess;
  sink: ObjectSink;
  fingerprints: boolean;
  programs: DumpPrograms;
  major: number;
  run: Run;
}

/** Longer than any sane transaction's lock, shorter than a heartbeat of patience. */
const LOCK_TIMEOUT_MS = 60_000;

/**
 * Engine.dump: every db that can be connected to, one after the other, each in a snapshot of its own, then roles
 * and tablespaces. Everything streams; an object appears only after its programs' exit 0 and the fingerprints.
 */
export async function dump(
  input: { access: ServerAccess; sink: ObjectSink; fingerprints: boolean },
  run: Run,
): Promise<LogicalDump> {
  const session = { signal: run.signal, applicationName: 'dump', readOnly: true };
  const { facts, notices } = await withConnection(input.access, session, async (client) => ({
    facts: await readFacts(client),
    notices: await serverNotices(client),
  }));
  const programs = await dumpPrograms(facts.major);
  const work: DumpWork = { ...input, programs, major: facts.major, run };
  notices.push(...programs.notices);
  // Small, and before the dumps: what fails here leaves no object behind.
  const globalsText = await dumpGlobals(work, notices);
  const databases: DumpedObject[] = [];
  const positions: LogPositions[] = [];
  for (const { name, bytes } of facts.databases) {
    const dumped = await dumpDatabase({ ...work, access: { ...input.access, database: name } }, bytes);
    databases.push(dumped.object);
    positions.push(dumped.positions);
    notices.push(
      ...dumped.notices.map((notice) => (facts.databases.length > 1 ? `${name}: ${notice}` : notice)),
    );
  }
  const globals = await putText(work.sink, 'globals.sql', globalsText);
  const tools = { pg_dump: programs.version, zstd: await zstdVersion(run) };
  return { facts, positions: spanOf(positions), databases, globals, tools, notices };
}

function spanOf(positions: readonly LogPositions[]): LogPositions {
  const first = positions[0] ?? { timeline: null, start: null, stop: null, startLog: null, stopLog: null };
  return { ...first, stop: positions.at(-1)?.stop ?? null };
}

async function dumpDatabase(
  work: DumpWork,
  expectedBytes: number,
): Promise<{ object: DumpedObject; positions: LogPositions; notices: string[] }> {
  const { access, run } = work;
  const session = {
    ...{ signal: run.signal, applicationName: 'dump', readOnly: true },
    lockTimeoutMs: LOCK_TIMEOUT_MS,
  };
  return withConnection(access, session, async (client) => {
    const { tables, snapshot, positions } = await holdSnapshot(client);
    const notices = await databaseNotices(client);
    const schema = await canonicalSchema(client);
    const name = encodeURIComponent(access.database);
    const { objects, counted } = await dumpRows(work, { tables, snapshot, expectedBytes });
    const stored = await putText(work.sink, `${name}.schema.txt`, schema.text);
    const fingerprints: Fingerprints | null =
      counted === null
        ? null
        : {
            hash: rowHashOf(work.major),
            precision: 'exact',
            schemaSha256: schema.sha256,
            tables: counted,
          };
    const object = { name: access.database, objects, schema: stored, fingerprints };
    return { object, positions, notices };
  });
}

/**
 * Locks every table against DROP, TRUNCATE and rewrites and only then takes the snapshot: a TRUNCATE is not
 * MVCC-safe, and one between snapshot and lock would show an older snapshot an empty table. (pg_dump by
 * itself takes its snapshot first.) LOCK does not fix the snapshot of a REPEATABLE READ transaction.
 */
async function holdSnapshot(
  client: pg.ClientBase,
): Promise<{ tables: CountedTable[]; snapshot: string; positions: LogPositions }> {
  const known = await listTables(client);
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  for (let start = 0; start < known.length; start += 500) {
    const names = known.slice(start, start + 500).map(({ schema, name }) => quoteQualified([schema, name]));
    await client.query(`LOCK TABLE ONLY ${names.join(', ONLY ')} IN ACCESS SHARE MODE`);
  }
  const { rows } = await client.query<{ snapshot: string; lsn: string; timeline: number }>(
    `SELECT pg_catalog.pg_export_snapshot() AS snapshot,
            (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                  ELSE pg_catalog.pg_current_wal_insert_lsn() END)::text AS lsn,
            (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()) AS timeline`,
  );
  const [row] = rows as [{ snapshot: string; lsn: string; timeline: number }];
  return {
    tables: (await listTables(client)).filter((table) => !table.partitioned),
    snapshot: row.snapshot,
    positions: { timeline: row.timeline, start: row.lsn, stop: row.lsn, startLog: null, stopLog: null },
  };
}

async function dumpRows(
  work: DumpWork,
  source: { tables: CountedTable[]; snapshot: string; expectedBytes: number },
): Promise<{ objects: StoredObject[]; counted: TableFingerprint[] | null }> {
  const { access, sink, programs, run } = work;
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const progress = dumpProgress(access.database, source.tables, run);
  const counting = work.fingerprints
    ? fingerprintTables(
        { access, tables: source.tables, hash: rowHashOf(work.major), snapshot: source.snapshot },
        { signal, progress: () => {} },
      )
    : Promise.resolve(null);
  // A failed count ends the dump at once rather than after hours.
  counting.catch((error: unknown) => stop.abort(error));
  return withClientEnvironment(access, async (env) => {
    const output = compressedOutput(
      () =>
        startTool(programs.pgDump, dumpArguments(source.snapshot), {
          ...{ signal, env, stdout: 'pipe', onLine: progress.onLine },
          classify: dumpFailure,
        }),
      { signal, checks: counting, onBytes: progress.onBytes },
    );
    const putting = sink.put(`${encodeURIComponent(access.database)}.dump.zst`, output.content, {
      expectedBytes: source.expectedBytes,
    });
    try {
      return { objects: await putting, counted: await counting };
    } catch (error) {
      // What failed first is the cause: the programs and the counts before the upload that they broke off.
      const causes = [output.finished, counting].map((work) => settledFailure(work));
      const early = await Promise.all(causes.map((cause) => Promise.race([cause, soon()])));
      stop.abort(error);
      output.content.destroy();
      await Promise.allSettled([output.finished, counting]);
      run.signal.throwIfAborted();
      throw early.find((cause) => cause !== undefined && cause !== null) ?? error;
    }
  });
}

const settledFailure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
const soon = (): Promise<undefined> => new Promise((resolve) => setImmediate(() => resolve(undefined)));

function dumpArguments(snapshot: string): string[] {
  return [
    ...['--format=custom', '--compress=0', '--verbose', '--no-password', `--snapshot=${snapshot}`],
    `--lock-wait-timeout=${LOCK_TIMEOUT_MS}`,
  ];
}

/** Errors of pg_dump, told from what `--verbose` says; the first line alone, since later ones hold statements. */
function dumpFailure(failure: { exitCode: number | null; output: string }): HoldfastError | undefined {
  const errors = failure.output
    .split('\n')
    .filter((line) => /: (?:error|fatal): |ERROR: |FATAL: /.test(line));
  if (failure.exitCode === null || errors.length === 0) return undefined;
  const all = errors.join('\n');
  const said = (errors[0] as string).replace(/^.*?error: */, '').slice(0, 300);
  if (/permission denied|row-level security/i.test(all)) {
    return new HoldfastError('PermissionDenied', `pg_dump may not read everything: ${said}`, {
      hint: 'dump as a superuser, or as a role with pg_read_all_data and BYPASSRLS',
    });
  }
  if (/does not exist|cache lookup failed|could not open relation|lock timeout/i.test(all)) {
    return new HoldfastError('BackupFailed', `the schema changed while it was dumped: ${said}`, {
      hint: 'it is tried again; keep migrations out of the backup window',
    });
  }
  if (
    /closed the connection|terminating connection|could not connect|connection to server|PQget|no connection/i.test(
      all,
    )
  ) {
    return new HoldfastError('ConnectionFailed', `pg_dump lost the server: ${said}`, {
      hint: 'it is tried again; see the log of the server',
    });
  }
  return new HoldfastError('ToolFailed', `pg_dump failed: ${said}`);
}

/**
 * Roles with their passwords (a restore needs them, and the repository is encrypted), grants and tablespaces.
 * Where the user may not read passwords, as with managed servers, they are left out and a notice says so.
 */
async function dumpGlobals(work: DumpWork, notices: string[]): Promise<string> {
  const { access, programs, run } = work;
  const session = { signal: run.signal, applicationName: 'dump', readOnly: true };
  const withPasswords = await withConnection(access, session, async (client) => {
    const { rows } = await client.query<{ may: boolean }>(
      `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may`,
    );
    return rows[0]?.may === true;
  });
  if (!withPasswords) {
    notices.push(`the passwords of roles are not in the backup: user ${access.user} may not read them`);
  }
  run.progress({ phase: 'dumping roles and grants' });
  return withClientEnvironment(access, async (env) => {
    const args = ['--globals-only', '--no-password', ...(withPasswords ? [] : ['--no-role-passwords'])];
    const { stdout } = await runTool(programs.pgDumpall, args, {
      ...{ signal: run.signal, env, stdout: 'text' },
      classify: dumpFailure,
    });
    return stdout;
  });
}
