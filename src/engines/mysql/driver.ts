import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import mysql, { type Connection as Mysql2, type QueryError, type ResultSetHeader } from 'mysql2';
import { isLocal } from '../../config/access.ts';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';

/** One connection of mysql2 with what it lacks; errors are its own. Only {@link connect} and its kin use it. */
export interface Driver {
  readonly mysql2: Mysql2;
  /** resolves when the server has let us in */
  readonly ready: Promise<void>;
  rows<T>(sql: string): Promise<T[]>;
  execute(sql: string): Promise<ResultSetHeader>;
  /** cuts it at once; what waits for an answer fails */
  drop(): void;
  /** ends it in order, or drops it where that takes longer than a second; never throws */
  end(): Promise<void>;
}

const END_LIMIT_MS = 1_000;

/** Begins to connect; TLS is verified, and only a loopback address or a socket goes without. */
export function openDriver(
  access: ServerAccess,
  options: { connectTimeoutMs: number; program: string },
): Driver {
  const ssl = tlsOf(access);
  const socket = openSocket(access);
  const path = socketOf(access.host);
  const mysql2 = mysql.createConnection({
    stream: socket,
    // Connects nothing beside `stream`; without it a password is not sent in full, as `caching_sha2_password` may ask.
    ...(path === null ? {} : { socketPath: path }),
    // The name that the certificate is checked against; the socket is connected already.
    host: access.tls?.serverName ?? access.host,
    user: access.user,
    password: access.password ?? '',
    ...(access.database === '' ? {} : { database: access.database }),
    ...(ssl === null ? {} : { ssl }),
    connectTimeout: options.connectTimeoutMs,
    charset: 'utf8mb4',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    jsonStrings: true,
    multipleStatements: false,
    trace: false,
    // Values are filled in already; its own reads each statement to the end in search of `?`.
    queryFormat: (sql) => sql,
    // A server must not be able to ask for files of this host.
    flags: ['-LOCAL_FILES', '-IGNORE_SPACE'],
    connectAttributes: { program_name: `holdfast ${options.program}`.slice(0, 64) },
  });
  // A lost connection fails the query in flight; without a listener it would also end the process.
  mysql2.on('error', () => {});
  const ready = new Promise<void>((resolve, reject) => {
    mysql2.connect((error) => (error === null ? resolve() : reject(error)));
  });
  ready.catch(() => {});
  const ask = <T>(sql: string) =>
    new Promise<T>((resolve, reject) => {
      mysql2.query(sql, (error: QueryError | null, result: unknown) =>
        error === null ? resolve(result as T) : reject(error),
      );
    });
  return {
    mysql2,
    ready,
    rows: async <T>(sql: string) => {
      const result = await ask<T[] | ResultSetHeader>(sql);
      return Array.isArray(result) ? result : [];
    },
    execute: (sql) => ask<ResultSetHeader>(sql),
    drop: () => socket.destroy(),
    end: () =>
      new Promise((resolve) => {
        if (socket.destroyed) return resolve();
        const forced = setTimeout(() => socket.destroy(), END_LIMIT_MS);
        socket.once('close', () => {
          clearTimeout(forced);
          resolve();
        });
        // In the middle of a stream the word of farewell would wait for its end.
        mysql2.end(() => socket.destroySoon());
      }),
  };
}

/** The path of the server's socket where the host is one, or the folder that has it; else null. */
export function socketOf(host: string): string | null {
  if (!host.startsWith('/')) return null;
  return host.endsWith('.sock') ? host : join(host, 'mysqld.sock');
}

function openSocket({ host, port }: ServerAccess): Socket {
  const path = socketOf(host);
  if (path !== null) return connectSocket({ path });
  const socket = connectSocket({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  // Node checks the certificate of a server that is known by its address against this; it sets it for names only.
  (socket as Socket & { _host?: string })._host = host;
  return socket;
}

function tlsOf({ host, tls }: ServerAccess) {
  if (tls === null) {
    if (isLocal(host)) return null;
    throw new HoldfastError('InvalidConfiguration', `the connection to ${host} is not encrypted`, {
      hint: 'leave out `tls: off` (the server certificate is verified; caFile names the authority)',
    });
  }
  if (host.startsWith('/')) return null;
  // Without verifyIdentity mysql2 takes any certificate of the authority, whoever it is for.
  return { rejectUnauthorized: true, verifyIdentity: true, ...(tls.ca === null ? {} : { ca: tls.ca }) };
}
