import { dirname } from 'node:path';
import { resolveAccess } from '../../config/access.ts';
import { withConnection } from '../../engines/mysql/connection.ts';
import { socketOf } from '../../engines/mysql/driver.ts';
import { withOptionFile } from '../../engines/mysql/option-file.ts';
import { type DumpPrograms, dumpPrograms } from '../../engines/mysql/programs.ts';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import { parseUrl, type Shell } from './shell.ts';
import { runAtTerminal } from './terminal.ts';

/** The oldest of each flavour: whichever client is here, the newest server lets it in. */
const SERIES = [800, 1011] as const;
/** How long the server may take to say what it is. */
const PATIENCE_MS = 5_000;

/** mysql, or mariadb; its secrets are an option file that nobody else can read, for as long as it runs. */
export const mysql: Shell<ServerAccess> = {
  program: 'mysql or mariadb',

  async destination(database, { directory }) {
    const access = await resolveAccess(database, directory);
    return { url: urlOf(access), secrets: access };
  },

  socketFolder(url) {
    const socket = parseUrl(url).searchParams.get('socket');
    return socket === null ? null : dirname(socket);
  },

  async run({ url, secrets }, given, { config }) {
    const access = secrets ?? accessOf(url);
    const { client, flavour } = await clientPrograms(access, config.tools.mysql);
    return withOptionFile(access, flavour, (options) =>
      // A db is no option that all clients know.
      runAtTerminal(client, [
        options,
        ...(access.database === '' ? [] : [`--database=${access.database}`]),
        ...given,
      ]),
    );
  },
};

/**
 * The client of the server's own flavour, as the server says it: the newer ones of each have lost what accounts of the
 * other are made with. Where it does not say, whichever is here. Throws ToolMissing.
 */
async function clientPrograms(
  access: ServerAccess,
  configured: Record<string, string> | undefined,
): Promise<DumpPrograms> {
  const run = { signal: AbortSignal.timeout(PATIENCE_MS) };
  const series = await withConnection(access, run, async ({ server }) => server.series).catch(() => null);
  const [first, ...others] = series === null ? SERIES : [series, ...SERIES];
  try {
    return await dumpPrograms(first as number, configured);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'ToolMissing') throw error;
    for (const other of others) {
      const found = await dumpPrograms(other, configured).catch(() => null);
      if (found !== null) return found;
    }
    throw error;
  }
}

/** In the form that instances' urls have: a socket as a parameter; without a password. */
export function urlOf(access: Pick<ServerAccess, 'host' | 'port' | 'user' | 'database' | 'tls'>): string {
  const user = encodeURIComponent(access.user);
  const database = encodeURIComponent(access.database);
  const socket = socketOf(access.host);
  if (socket !== null) return `mysql://${user}@/${database}?socket=${encodeURIComponent(socket)}`;
  const host = access.host.includes(':') ? `[${access.host}]` : access.host;
  const mode = access.tls === null ? 'DISABLED' : 'VERIFY_IDENTITY';
  return `mysql://${user}@${host}:${access.port}/${database}?ssl-mode=${mode}`;
}

/** Of an instance: through its socket, without a password. */
function accessOf(url: string): ServerAccess {
  const { username, pathname, searchParams } = parseUrl(url);
  return {
    host: dirname(searchParams.get('socket') ?? ''),
    ...{ port: 0, password: null, tls: null },
    user: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
  };
}
