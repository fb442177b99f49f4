import pg from 'pg';
import { isLocal } from '../config/access.ts';
import type { EndpointConfig } from '../config/schema/endpoint.ts';
import { readSecret } from '../config/secrets.ts';
import { clientConfig, connectionError } from '../engines/postgres/connection.ts';
import { HoldfastError } from '../model/failure.ts';
import { endpointFailed } from './failure.ts';

export type PgbouncerConfig = Extract<EndpointConfig, { pgbouncer: unknown }>['pgbouncer'];
export type Row = Record<string, string | number | null>;
/** One command; names go in through {@link quoteName}. */
export type Ask = (command: string) => Promise<Row[]>;

const ANSWER_LIMIT_MS = 10_000;

/** Talks to the admin console: a session that knows only its own commands, and simple queries. */
export async function atConsole<T>(
  { admin }: PgbouncerConfig,
  directory: string,
  signal: AbortSignal,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const { host, port, user } = admin;
  const access = {
    ...{ host, port, user, database: 'pgbouncer' },
    password: admin.password === undefined ? null : await readSecret(admin.password, directory),
    tls: isLocal(host) ? null : { ca: null, serverName: null },
  };
  const client = new pg.Client({
    ...clientConfig(access),
    connectionTimeoutMillis: ANSWER_LIMIT_MS,
    query_timeout: ANSWER_LIMIT_MS,
  });
  client.on('error', () => {});
  const abort = () => void client.end().catch(() => {});
  signal.throwIfAborted();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
    return await work(async (command) => (await client.query<Row>(command)).rows);
  } catch (error) {
    signal.throwIfAborted();
    throw consoleFailed(connectionError(error, access), `${host}:${port}`);
  } finally {
    signal.removeEventListener('abort', abort);
    await client.end().catch(() => {});
  }
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function consoleFailed(error: unknown, where: string): unknown {
  if (error instanceof HoldfastError && error.type === 'EndpointFailed') return error;
  const { message } = error as Error;
  const away = message === 'Query read timeout' || (error instanceof HoldfastError && error.retryable);
  return endpointFailed(
    `the admin console of PgBouncer at ${where} ${away ? 'did not answer' : 'refused'}: ${message}`,
    'check that PgBouncer runs, and that admin.user is in its admin_users and auth_file with the password that admin.password refers to',
    { retryable: away, cause: error },
  );
}
