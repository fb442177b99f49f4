import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ServerAccess } from '../model/access.ts';
import { HoldfastError } from '../model/failure.ts';
import type { DatabaseConfig } from './schema.ts';
import { readSecret } from './secrets.ts';

type Connection = DatabaseConfig['connection'];

/**
 * How to reach a database, its secrets read now from where they are. `directory` is the configuration's own.
 * Throws InvalidConfiguration where a secret or an authority's file is not there.
 */
export async function resolveAccess(database: DatabaseConfig, directory: string): Promise<ServerAccess> {
  const { host, port, user, password, database: name } = database.connection;
  return {
    host,
    port,
    user,
    password: password === undefined ? null : await readSecret(password, directory),
    database: name,
    tls: await resolveTls(database.connection, directory),
  };
}

async function resolveTls({ host, tls }: Connection, directory: string): Promise<ServerAccess['tls']> {
  if (tls === 'off' || host.startsWith('/') || (tls === undefined && isLocal(host))) return null;
  const { caFile, serverName } = tls ?? {};
  return {
    ca: caFile === undefined ? null : await readAuthority(resolve(directory, caFile)),
    serverName: serverName ?? null,
  };
}

/** Whether what is sent there never leaves the machine. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new HoldfastError(
      'InvalidConfiguration',
      `connection.tls.caFile ${path} cannot be read (${code})`,
      {
        hint: "put the authority's PEM file there, readable for the worker, or correct the path",
      },
    );
  }
}
