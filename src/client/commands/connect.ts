import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { execa } from 'execa';
import { resolveAccess } from '../../config/access.ts';
import { findDatabase } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { clientEnvironment } from '../../engines/postgres/connection.ts';
import { dumpPrograms } from '../../engines/postgres/programs.ts';
import { HoldfastError } from '../../model/failure.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { observe } from '../observe.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { withSession } from '../session.ts';

/** Where psql goes. The url holds no password; the environment may, and is psql's alone. */
interface Destination {
  url: string;
  environment: Record<string, string>;
}

export function connectCommand(): Command {
  const command = new Command('connect')
    .description('open psql on a restored instance, or on a database of the configuration')
    .argument('<id or database>', 'workflow id of a runbook that has an instance, or a database')
    .argument('[arguments...]', 'handed on to psql, after --')
    .option('--print', 'print the url instead; it holds no password')
    .addHelpText(
      'after',
      `
Examples:
  holdfast connect pitr/shop/20260131T140500Z
  holdfast connect pitr/shop/20260131T140500Z -- -c 'SELECT count(*) FROM orders'
  holdfast connect shop --print`,
    );
  return withGlobalOptions(command).action(
    action(async (what: string, rest: string[], options: { print?: true }, self: Command) => {
      // A name of a database never holds a slash, an id always does.
      const isRun = what.includes('/');
      const { config, print } = await openContext(self, isRun ? 'file' : 'if known');
      const to = isRun ? await instanceOf(self, config, what) : await databaseOf(config, what);
      if (options.print !== true) return runPsql(config, to, rest);
      print({ url: to.url }, to.url);
      return EXIT.done;
    }),
  );
}

function instanceOf(command: Command, config: LoadedConfig, workflowId: string): Promise<Destination> {
  return withSession(command, async ({ client }) => {
    const { status } = await observe(client, workflowId);
    const url = status.instance?.url;
    if (url !== undefined && url !== null) {
      // One that was to be production listens as production does, and asks for its password.
      if (socketOf(url) !== null) return { url, environment: {} };
      const { environment } = await databaseOf(config, status.database);
      return { url, environment };
    }
    const why = status.instance === null ? 'has no instance' : 'has an instance that does not answer yet';
    throw new HoldfastError('InstanceLost', `${workflowId} ${why}: it is ${status.outcome}`, {
      hint: `see its steps: holdfast status ${workflowId}`,
    });
  });
}

/** The directory of the socket that a url names; null: it names none. */
function socketOf(url: string): string | null {
  const host = new URL(url.replace('@/', '@localhost/')).searchParams.get('host');
  return host?.startsWith('/') ? host : null;
}

async function databaseOf(config: LoadedConfig, name: string): Promise<Destination> {
  const database = findDatabase(config.config, name);
  if (database.engine !== 'postgres') {
    throw new HoldfastError('NotSupported', `connect does not know ${database.engine} yet`, {
      hint: `use its own client, at ${database.connection.host}:${database.connection.port}`,
    });
  }
  const access = await resolveAccess(database, config.directory);
  const tls = database.connection.tls;
  const authority = typeof tls === 'object' && tls.caFile !== undefined ? tls.caFile : null;
  // A person's own password file may serve where the configuration names no password.
  const { PGPASSFILE: _none, ...environment } = clientEnvironment(access);
  return {
    url: urlOf(access, environment.PGSSLMODE ?? 'verify-full'),
    environment: {
      ...environment,
      // Without a file of its own, libpq 16 and newer verify with the system's authorities when asked to.
      ...(access.tls === null
        ? {}
        : { PGSSLROOTCERT: authority === null ? 'system' : resolve(config.directory, authority) }),
    },
  };
}

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

async function runPsql(config: LoadedConfig, to: Destination, rest: readonly string[]): Promise<ExitCode> {
  requireSocket(to.url);
  const { psql } = await dumpPrograms(OLDEST_SERVER, config.config.tools.postgres);
  // psql handles Ctrl-C itself (it cancels the query); it must not take this process, and the terminal, with it.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  try {
    const { exitCode } = await execa(psql, ['--dbname', to.url, ...rest], {
      stdio: 'inherit',
      env: to.environment,
      reject: false,
    });
    return exitCode === 0 ? EXIT.done : EXIT.failed;
  } finally {
    process.removeListener('SIGINT', ignore);
  }
}

const OLDEST_SERVER = 13;

/** An instance listens on a private socket of its site's host: from elsewhere nothing can reach it. */
function requireSocket(url: string): void {
  const directory = socketOf(url);
  if (directory === null) return;
  try {
    accessSync(directory, constants.X_OK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new HoldfastError(
      missing ? 'ConnectionFailed' : 'PermissionDenied',
      `the socket in ${directory} ${missing ? 'is not on this machine' : 'may not be entered by this user'}`,
      {
        hint: missing
          ? "run this command on the host of the instance's site"
          : 'run it as root, or as the operating-system user of the site',
      },
    );
  }
}
