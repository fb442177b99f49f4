import { resolve } from 'node:path';
import { resolveAccess } from '../../config/access.ts';
import { clientEnvironment } from '../../engines/postgres/connection.ts';
import { dumpPrograms } from '../../engines/postgres/programs.ts';
import { parseUrl, type Shell } from './shell.ts';
import { runAtTerminal } from './terminal.ts';

const OLDEST_SERVER = 13;

/** psql; its secrets are variables of its environment. */
export const psql: Shell<Record<string, string>> = {
  program: 'psql',

  async destination(database, { directory }) {
    const access = await resolveAccess(database, directory);
    const tls = database.connection.tls;
    const authority = typeof tls === 'object' && tls.caFile !== undefined ? tls.caFile : null;
    // A person's own password file may serve where the configuration names no password.
    const { PGPASSFILE: _none, ...environment } = clientEnvironment(access);
    return {
      url: urlOf(access, environment.PGSSLMODE ?? 'verify-full'),
      secrets: {
        ...environment,
        // Without a file of its own, libpq 16 and newer verify with the system's authorities when asked to.
        ...(access.tls === null
          ? {}
          : { PGSSLROOTCERT: authority === null ? 'system' : resolve(directory, authority) }),
      },
    };
  },

  socketFolder(url) {
    const host = parseUrl(url).searchParams.get('host');
    return host?.startsWith('/') ? host : null;
  },

  async run({ url, secrets }, given, { config }) {
    const { psql: file } = await dumpPrograms(OLDEST_SERVER, config.tools.postgres);
    return runAtTerminal(file, ['--dbname', url, ...given], secrets ?? {});
  },
};

/** A connection URI of libpq, a socket directory as its `host` parameter; without a password. */
export function urlOf(
  access: { host: string; port: number; user: string; database: string },
  sslmode: string,
): string {
  const user = encodeURIComponent(access.user);
  const database = encodeURIComponent(access.database);
  const socket = access.host.startsWith('/');
  const parameters = new URLSearchParams(
    socket ? { host: access.host, port: String(access.port) } : { sslmode },
  );
  const host = access.host.includes(':') ? `[${access.host}]` : access.host;
  return `postgresql://${user}@${socket ? '' : `${host}:${access.port}`}/${database}?${parameters}`;
}
