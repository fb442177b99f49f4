import { accessSync, constants } from 'node:fs';
import { Command } from 'commander';
import { findDatabase } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { EngineKind } from '../../model/engine.ts';
import { HoldfastError } from '../../model/failure.ts';
import { type Destination, engineOfUrl, type Shell, shellOf } from '../connect/shell.ts';
import { EXIT } from '../exit.ts';
import { observe } from '../observe.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { withSession } from '../session.ts';

interface Way {
  shell: Shell;
  to: Destination;
}

export function connectCommand(): Command {
  const command = new Command('connect')
    .description(
      "open the database's own client (psql, mysql, mariadb) on a restored instance, or on a database of the configuration",
    )
    .argument('<id or database>', 'workflow id of a runbook that has an instance, or a database')
    .argument('[arguments...]', 'handed on to the client, after --')
    .option('--print', 'print the url instead; it holds no password')
    .addHelpText(
      'after',
      `
Examples:
  holdfast connect pitr/shop/20260131T140500Z
  holdfast connect pitr/shop/20260131T140500Z -- -c 'SELECT count(*) FROM orders'
  holdfast connect pitr/store/20260131T140500Z -- -e 'SELECT COUNT(*) FROM orders'
  holdfast connect shop --print`,
    );
  return withGlobalOptions(command).action(
    action(async (what: string, rest: string[], options: { print?: true }, self: Command) => {
      // A name of a database never holds a slash, an id always does.
      const isRun = what.includes('/');
      const { config, print } = await openContext(self, isRun ? 'file' : 'if known');
      const { shell, to } = isRun ? await instanceOf(self, config, what) : await databaseOf(config, what);
      if (options.print === true) {
        print({ url: to.url }, to.url);
        return EXIT.done;
      }
      requireSocket(shell.socketFolder(to.url));
      return (await shell.run(to, rest, config)) === 0 ? EXIT.done : EXIT.failed;
    }),
  );
}

async function instanceOf(command: Command, config: LoadedConfig, workflowId: string): Promise<Way> {
  return withSession(command, async ({ client }) => {
    const { status } = await observe(client, workflowId);
    const url = status.instance?.url;
    if (url !== undefined && url !== null) {
      const shell = await shellFor(engineOfUrl(url), url);
      if (shell.socketFolder(url) !== null) return { shell, to: { url, secrets: null } };
      // One that was to be production listens as production does, and asks for its password.
      const { secrets } = await shell.destination(findDatabase(config.config, status.database), config);
      return { shell, to: { url, secrets } };
    }
    const why = status.instance === null ? 'has no instance' : 'has an instance that does not answer yet';
    throw new HoldfastError('InstanceLost', `${workflowId} ${why}: it is ${status.outcome}`, {
      hint: `see its steps: holdfast status ${workflowId}`,
    });
  });
}

async function databaseOf(config: LoadedConfig, name: string): Promise<Way> {
  const database = findDatabase(config.config, name);
  const { host, port } = database.connection;
  const shell = await shellFor(database.engine, `${host}:${port}`);
  return { shell, to: await shell.destination(database, config) };
}

async function shellFor(engine: EngineKind, place: string): Promise<Shell> {
  const shell = await shellOf(engine);
  if (shell !== null) return shell;
  throw new HoldfastError('NotSupported', `connect does not know ${engine} yet`, {
    hint: `use its own client, at ${place}`,
  });
}

/** An instance listens on a private socket of its site's host: from elsewhere nothing can reach it. */
function requireSocket(directory: string | null): void {
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
