import { lookup } from 'node:dns/promises';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { isLocal } from '../../config/access.ts';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import { requestCancel } from './cancel-request.ts';
import { quoteLiteral } from './identifier.ts';

export interface ConnectOptions {
  signal: AbortSignal;
  /** shown in pg_stat_activity behind `holdfast`: what the session is for */
  applicationName: string;
  /** refuses writes in the session itself */
  readOnly?: boolean;
  /** milliseconds; 0 (default): statements may take as long as they take, since reading a table can */
  statementTimeoutMs?: number;
  /** milliseconds a statement may wait for a lock; default 30 s */
  lockTimeoutMs?: number;
}

/** Debian's and Alpine's bundle; `system` is understood by libpq 16 and newer alone. */
const SYSTEM_AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens a session: nothing on the search path but pg_catalog, and every setting that changes how a value is
 * written as text is pinned. An abort of the signal ends the session at the server too. Throws
 * ConnectionFailed, AuthenticationFailed, PermissionDenied; the signal's reason after an abort.
 */
export async function connect(access: ServerAccess, options: ConnectOptions): Promise<pg.Client> {
  const { signal } = options;
  signal.throwIfAborted();
  const client = new pg.Client({
    ...clientConfig(access),
    application_name: `holdfast ${options.applicationName}`.slice(0, 63),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A lost connection fails the query in flight; without a listener it would also end the process.
  client.on('error', () => {});
  const abort = () => dropConnection(client);
  signal.addEventListener('abort', abort, { once: true });
  client.once('end', () => signal.removeEventListener('abort', abort));
  try {
    await client.connect();
    await client.query(sessionSettings(options));
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    signal.removeEventListener('abort', abort);
    signal.throwIfAborted();
    throw connectionError(error, access);
  }
}

/** Runs work in a session of its own and closes it, whatever happens; errors of the server are mapped. */
export async function withConnection<T>(
  access: ServerAccess,
  options: ConnectOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(access, options);
  try {
    return await work(client);
  } catch (error) {
    options.signal.throwIfAborted();
    throw connectionError(error, access);
  } finally {
    await client.end().catch(() => {});
  }
}

/** What node-postgres needs; TLS is verified, and only a loopback address or a socket goes without. */
export function clientConfig(access: ServerAccess): pg.ClientConfig {
  const { host, port, user, database, password, tls } = access;
  const base = { host, port, user, database, ...(password === null ? {} : { password }) };
  if (tls === null) {
    if (isLocal(host)) return { ...base, ssl: false };
    throw new HoldfastError('InvalidConfiguration', `the connection to ${host} is not encrypted`, {
      hint: 'leave out `tls: off` (the server certificate is verified; caFile names the authority)',
    });
  }
  if (host.startsWith('/')) return { ...base, ssl: false };
  return {
    ...base,
    ssl: {
      rejectUnauthorized: true,
      ...(tls.ca === null ? {} : { ca: tls.ca }),
      ...(tls.serverName === null ? {} : { servername: tls.serverName }),
    },
  };
}

/**
 * The environment by which PostgreSQL's own programs reach the server: the password is never an argument.
 * The authority is the system's; {@link withClientEnvironment} serves one of the configuration.
 */
export function clientEnvironment(access: ServerAccess): Record<string, string> {
  const plain = access.tls === null || access.host.startsWith('/');
  return {
    PGHOST: access.host,
    PGPORT: String(access.port),
    PGUSER: access.user,
    PGDATABASE: access.database,
    PGCONNECT_TIMEOUT: '10',
    // Not there, so that nobody's .pgpass is read; /dev/null itself makes libpq warn.
    PGPASSFILE: '/dev/null/none',
    ...(access.password === null ? {} : { PGPASSWORD: access.password }),
    ...(plain ? { PGSSLMODE: 'disable' } : { PGSSLMODE: 'verify-full', PGSSLROOTCERT: SYSTEM_AUTHORITIES }),
  };
}

/** Calls work with the same, and with the certificate authority in a file that lives as long as the work. */
export async function withClientEnvironment<T>(
  access: ServerAccess,
  work: (environment: Record<string, string>) => Promise<T>,
): Promise<T> {
  const environment = clientEnvironment(access);
  if (environment.PGSSLMODE === 'disable' || access.tls === null) return work(environment);
  const { ca, serverName } = access.tls;
  if (serverName !== null) {
    // libpq checks the certificate against PGHOST and connects to PGHOSTADDR.
    environment.PGHOST = serverName;
    environment.PGHOSTADDR = (await lookup(access.host)).address;
  }
  if (ca === null) return work(environment);
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ca-'));
  try {
    const file = join(folder, 'ca.crt');
    await writeFile(file, ca);
    // Programs run as other users too, and a certificate is no secret.
    await chmod(folder, 0o755);
    return await work({ ...environment, PGSSLROOTCERT: file });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Drops a session at once, and what it runs at the server with it. */
export function dropConnection(client: pg.Client): void {
  const session = client as unknown as Session;
  const { processID, secretKey } = session;
  if (processID !== null && secretKey !== null) requestCancel(client, { processID, secretKey });
  session.connection.stream.destroy();
}

/** What node-postgres has and its types lack; the keys are null until the server has sent them. */
interface Session {
  processID: number | null;
  secretKey: number | null;
  connection: { stream: { destroy(): void } };
}

function sessionSettings(options: ConnectOptions): string {
  const settings: Record<string, string> = {
    search_path: '',
    DateStyle: 'ISO, YMD',
    IntervalStyle: 'postgres',
    TimeZone: 'UTC',
    standard_conforming_strings: 'on',
    extra_float_digits: '3',
    bytea_output: 'hex',
    row_security: 'off',
    synchronize_seqscans: 'off',
    statement_timeout: String(options.statementTimeoutMs ?? 0),
    lock_timeout: String(options.lockTimeoutMs ?? 30_000),
    idle_in_transaction_session_timeout: '0',
    default_transaction_read_only: options.readOnly === true ? 'on' : 'off',
  };
  const calls = Object.entries(settings).map(
    ([name, value]) => `pg_catalog.set_config('${name}', ${quoteLiteral(value)}, false)`,
  );
  // What not every version has. A client that vanished is noticed in the middle of a long query too (14); no
  // limit of a role or db ends a session that holds a snapshot (14, 17).
  const newer = {
    client_connection_check_interval: '10s',
    idle_session_timeout: '0',
    transaction_timeout: '0',
  };
  for (const [name, value] of Object.entries(newer)) {
    calls.push(`(SELECT pg_catalog.set_config(name, '${value}', false) FROM pg_catalog.pg_settings
      WHERE name = '${name}')`);
  }
  return `SELECT ${calls.join(', ')}`;
}

/** An error of node-postgres or the server as Holdfast's; a HoldfastError stays what it is. */
export function connectionError(error: unknown, access: ServerAccess): unknown {
  if (error instanceof HoldfastError || !(error instanceof Error)) return error;
  const code = (error as { code?: string }).code ?? '';
  const where = `${access.host}:${access.port}`;
  if (/^28/.test(code) || /SASL|password must be a string/.test(error.message)) {
    return new HoldfastError(
      'AuthenticationFailed',
      `PostgreSQL at ${where} refused user ${access.user}${code === '28000' ? ' (pg_hba.conf)' : ''}`,
      {
        hint: `check the password that the configuration refers to for user ${access.user} at ${where}, and pg_hba.conf there`,
      },
    );
  }
  if (code === '3D000') {
    return new HoldfastError('InvalidConfiguration', `there is no db "${access.database}" at ${where}`, {
      hint: 'correct connection.database in the configuration',
    });
  }
  if (code === '42501') {
    return new HoldfastError(
      'PermissionDenied',
      `user ${access.user} lacks a right at ${where}: ${error.message}`,
      {
        hint: `grant it to ${access.user}, or name a superuser in the configuration`,
      },
    );
  }
  if (code === '55P03') {
    return new HoldfastError('LockNotAvailable', `a lock at ${where} was not had in time`, {
      hint: 'see pg_stat_activity for the session that holds it, and try again',
    });
  }
  if (isConnectionTrouble(code, error.message)) {
    return new HoldfastError(
      'ConnectionFailed',
      `PostgreSQL at ${where} cannot be reached (${code || error.message})`,
      {
        hint: 'check that the server runs, and host, port and TLS of the connection',
      },
    );
  }
  // Of a value that does not fit (22), a function's own exception (P0, 38, 39): the server's text may quote rows.
  if (/^(?:22|P0|38|39)/.test(code)) {
    return new HoldfastError('ToolFailed', `PostgreSQL at ${where} refused a statement (error ${code})`, {
      hint: "the server's own log has its words, which may hold row data and so are not repeated here",
    });
  }
  return error;
}

function isConnectionTrouble(code: string, message: string): boolean {
  if (/^(?:08|57P0)/.test(code) || code === '53300') return true;
  if (/^(?:ECONN|EHOST|ENET|ETIMEDOUT|ENOTFOUND|EAI_|ENOENT|EPIPE|EACCES)/.test(code)) return true;
  if (/CERT|TLS|SSL/.test(code)) return true;
  return /connection.*(?:terminated|timeout|closed|ended)|timeout expired|SSL/i.test(message);
}
