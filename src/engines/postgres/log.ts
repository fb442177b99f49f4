import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { LogReport, WatchInput } from '../contract/backup.ts';
import { readArchiverMessage } from './archiver-message.ts';
import { withConnection } from './connection.ts';

export interface Heartbeat {
  at: string;
  position: string;
  log: string;
  timeline: number;
  xid: string;
}

const STATEMENT_TIMEOUT_MS = 30_000;
const SEGMENT = /^[0-9A-F]{24}$/;

/**
 * Engine.watchLog: one round at one database. The heartbeat's commit makes every moment before `heartbeat.at`
 * a reachable target once its log is archived. The log is closed when the newest archived one is older than
 * `maxAgeMs / 2`, but not while earlier logs wait: that would only fill the disk of a server whose archiver fails.
 */
export async function watchLog(input: WatchInput, run: Run): Promise<LogReport> {
  return withConnection(input.access, session(run), async (client) => {
    const state = await readArchiver(client, input);
    const { waiting, ready } = await readWaiting(client, input.dataDirectory);
    const heartbeat = await beat(client);
    const age = state.lastArchivedAt === null ? Number.POSITIVE_INFINITY : state.ageMs;
    const switched = state.failure === null && waiting === 0 && age > input.maxAgeMs / 2;
    if (switched) await client.query('SELECT pg_catalog.pg_switch_wal()');
    return {
      database: input.database,
      at: heartbeat.at,
      heartbeat,
      lastArchivedLog: state.lastArchivedLog,
      lastArchivedAt: state.lastArchivedAt,
      waiting,
      ready,
      failure: state.failure,
      switched,
    };
  });
}

/** Engine.closeLog: a heartbeat, and the log that holds its commit is closed. `log` has to be archived for it to count. */
export async function closeLog(access: ServerAccess, run: Run): Promise<Heartbeat> {
  return withConnection(access, session(run), async (client) => {
    const heartbeat = await beat(client);
    await client.query('SELECT pg_catalog.pg_switch_wal()');
    return heartbeat;
  });
}

function session(run: Run) {
  return { signal: run.signal, applicationName: 'log', statementTimeoutMs: STATEMENT_TIMEOUT_MS };
}

/**
 * A commit that writes nothing into any table: recovery to a time needs a commit after that time, which an idle
 * server does not have. `at` is taken before the commit, so that the commit is never older than it.
 */
async function beat(client: pg.ClientBase): Promise<Heartbeat> {
  const recovering = await client.query<{ yes: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS yes');
  if (recovering.rows[0]?.yes === true) {
    throw new HoldfastError('NotSupported', 'the server is a standby: its log cannot be watched', {
      hint: 'name the primary in connection.host of the configuration',
    });
  }
  await client.query('BEGIN');
  // A synchronous standby that is away must not stop the watcher.
  await client.query('SET LOCAL synchronous_commit = local');
  const sent = await client.query<{ at: string; xid: string }>(
    `WITH beat AS MATERIALIZED (SELECT pg_catalog.clock_timestamp() AS at)
     SELECT ${utc('at')} AS at, pg_catalog.pg_logical_emit_message(true, 'holdfast', 'heartbeat'),
       pg_catalog.pg_current_xact_id()::text AS xid FROM beat`,
  );
  await client.query('COMMIT');
  const { rows } = await client.query<{ position: string; log: string }>(
    `SELECT lsn::text AS position, pg_catalog.pg_walfile_name(lsn) AS log
       FROM pg_catalog.pg_current_wal_lsn() AS lsn`,
  );
  const [beat, where] = [sent.rows[0], rows[0]];
  if (beat === undefined || where === undefined) throw new TypeError('a heartbeat returned no row');
  const { at, xid } = beat;
  return { at, ...where, timeline: Number.parseInt(where.log.slice(0, 8), 16), xid };
}

/** ISO 8601 with milliseconds, cut (never rounded up past the event). */
function utc(expression: string): string {
  return `pg_catalog.to_char(pg_catalog.date_trunc('milliseconds', ${expression} AT TIME ZONE 'UTC'), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

interface ArchiverState {
  lastArchivedLog: string | null;
  lastArchivedAt: string | null;
  ageMs: number;
  failure: LogReport['failure'];
}

async function readArchiver(
  client: pg.ClientBase,
  place: Pick<WatchInput, 'dataDirectory' | 'serverLog'>,
): Promise<ArchiverState> {
  const { rows } = await client.query<{
    mode: string;
    now: string;
    archived: string | null;
    archivedAt: string | null;
    ageMs: number;
    failed: string | null;
    failedAt: string | null;
    failures: string;
    failing: boolean;
  }>(
    `SELECT current_setting('archive_mode') AS mode, ${utc('pg_catalog.clock_timestamp()')} AS now,
       last_archived_wal AS archived, ${utc('last_archived_time')} AS "archivedAt",
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - last_archived_time) * 1000, 0)::float8 AS "ageMs",
       last_failed_wal AS failed, ${utc('last_failed_time')} AS "failedAt", failed_count AS failures,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
       FROM pg_catalog.pg_stat_archiver`,
  );
  const [row] = rows;
  if (row === undefined) throw new TypeError('pg_stat_archiver has no row');
  const known = { lastArchivedLog: row.archived, lastArchivedAt: row.archivedAt, ageMs: row.ageMs };
  if (row.mode === 'off') {
    const message = 'archive_mode is off: nothing is archived';
    return { ...known, failure: { at: row.now, log: null, message } };
  }
  if (!row.failing || row.failedAt === null) return { ...known, failure: null };
  const said = (await readArchiverMessage(client, place)) ?? "see the server's log";
  const message = `archive_command fails at ${row.failed} (${row.failures} failures since the statistics were reset): ${said}`;
  return { ...known, failure: { at: row.failedAt, log: row.failed, message } };
}

/** Complete logs that wait for the archiver: `.ready` files, asked of the server or, without the right, looked at. */
async function readWaiting(
  client: pg.ClientBase,
  dataDirectory: string,
): Promise<Pick<LogReport, 'waiting' | 'ready'>> {
  const names = (await listStatus(client, dataDirectory)).filter((name) => name.endsWith('.ready'));
  const ready = names.map((name) => name.slice(0, -'.ready'.length)).filter((name) => SEGMENT.test(name));
  return { waiting: names.length, ready };
}

async function listStatus(client: pg.ClientBase, dataDirectory: string): Promise<string[]> {
  const right = await client.query<{ may: boolean }>(
    `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE') AS may`,
  );
  if (right.rows[0]?.may === true) {
    const { rows } = await client.query<{ name: string }>(
      'SELECT name FROM pg_catalog.pg_ls_archive_statusdir()',
    );
    return rows.map(({ name }) => name);
  }
  return readdir(join(dataDirectory, 'pg_wal', 'archive_status')).catch((cause: unknown) => {
    throw new HoldfastError('PermissionDenied', 'the logs that wait for the archiver cannot be counted', {
      hint: 'grant pg_monitor to the user of the connection',
      cause,
    });
  });
}
