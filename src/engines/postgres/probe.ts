import pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { clientConfig, connectionError, dropConnection } from './connection.ts';

const ANSWER_LIMIT_MS = 10_000;

/**
 * Engine.probe: one transaction in a session as an application has it, which works through a pooler too. Nothing is
 * set in the session: what a pooler gives to somebody else later must be as it was. The commit leaves a message in the
 * log of the server and nothing in the database.
 */
export async function probe(
  access: ServerAccess,
  run: Run,
): Promise<{ systemIdentifier: string; timeline: number }> {
  run.signal.throwIfAborted();
  const client = new pg.Client({
    ...clientConfig(access),
    connectionTimeoutMillis: ANSWER_LIMIT_MS,
    query_timeout: ANSWER_LIMIT_MS,
  });
  client.on('error', () => {});
  const abort = () => dropConnection(client);
  run.signal.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
    return await commitProbe(client);
  } catch (error) {
    run.signal.throwIfAborted();
    throw probeError(error, access);
  } finally {
    run.signal.removeEventListener('abort', abort);
    await client.end().catch(() => {});
  }
}

/** One statement, which is a transaction: a pooler that changes servers between statements takes it too. */
async function commitProbe(client: pg.Client) {
  // The timeline is of the log that is written now: what the control file says lags behind a promotion.
  const { rows } = await client.query<{ id: string; log: string; refused: boolean }>(
    `SELECT (pg_catalog.pg_control_system()).system_identifier::pg_catalog.text AS id,
       pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) AS log,
       pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool AS refused,
       pg_catalog.pg_logical_emit_message(true, 'holdfast', 'probe')`,
  );
  const { id = '', log = '', refused } = rows[0] ?? {};
  if (refused !== false) {
    throw new HoldfastError(
      'CheckFailed',
      'transactions are read-only by default (default_transaction_read_only)',
    );
  }
  return { systemIdentifier: id, timeline: Number.parseInt(log.slice(0, 8), 16) };
}

function probeError(error: unknown, access: ServerAccess): unknown {
  const { code, message } = error as { code?: string; message: string };
  const where = `${access.host}:${access.port}`;
  if (code === '55000') {
    return new HoldfastError('CheckFailed', `the server at ${where} takes no writes: it is a standby`);
  }
  if (message === 'Query read timeout') {
    return new HoldfastError('ConnectionFailed', `PostgreSQL at ${where} did not answer in time`);
  }
  return connectionError(error, access);
}
