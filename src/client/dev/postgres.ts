import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ToolRepository } from '../../engines/contract/backup.ts';
import { withConnection } from '../../engines/postgres/connection.ts';
import { quoteIdentifier, quoteLiteral } from '../../engines/postgres/identifier.ts';
import { renderPgbackrestConfig, runPgbackrest } from '../../engines/postgres/pgbackrest.ts';
import { postgresProgram } from '../../engines/postgres/programs.ts';
import { runTool } from '../../engines/process.ts';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import { exists, own, ownedFolder, shortSocketFolder } from './owned-folder.ts';
import { freePort } from './ports.ts';

export interface PostgresOptions {
  /** everything of the server lies under it; made when absent */
  directory: string;
  /** 0: a free one, kept for later starts of the same directory */
  port: number;
  major: number;
  /** operating-system user of the server, which may not be root */
  systemUser: string;
  archive?: { repository: ToolRepository; stanza: string };
  /** of user postgres, over TCP; the socket is open to every local user (`trust`) */
  password: string;
  database: string;
  /** lines of postgresql.conf beyond the defaults here, for instance `{max_wal_size: '4GB'}` */
  settings?: Record<string, string>;
  /** created in the database, for instance `amcheck` */
  extensions?: string[];
  /** default: none */
  signal?: AbortSignal;
}

export interface RunningPostgres {
  /** over TCP on 127.0.0.1, as user postgres with its password */
  access: ServerAccess;
  /** with the password in it: for the dev file and tests */
  url: string;
  pid: number;
  dataDirectory: string;
  socketDirectory: string;
  /** ends the server; the files stay, and a second call does no harm */
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL server for development and tests: its own cluster on 127.0.0.1, detached from the
 * starter, archiving through pgBackRest where `archive` is given. A second start of the same directory starts
 * only what does not run.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { directory, systemUser, major } = options;
  const signal = options.signal ?? new AbortController().signal;
  const dataDirectory = join(directory, 'data');
  const programs = {
    initdb: await postgresProgram('initdb', major),
    pgCtl: await postgresProgram('pg_ctl', major),
  };
  await ownedFolder(directory, systemUser, 0o755);
  const socketDirectory = await shortSocketFolder(directory, systemUser);
  if (!(await exists(join(dataDirectory, 'PG_VERSION')))) await initialize();
  let pid = await runningPid(dataDirectory);
  if (pid === null) {
    const port = await choosePort(dataDirectory, options.port);
    await configure(options, { dataDirectory, socketDirectory, port });
    pid = await start(port);
  }
  const port = await configuredPort(dataDirectory);
  const access: ServerAccess = {
    host: '127.0.0.1',
    port: port as number,
    user: 'postgres',
    password: options.password,
    database: options.database,
    tls: null,
  };
  await prepare(access, options, dataDirectory, signal);
  return {
    access,
    url: `postgresql://postgres:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${encodeURIComponent(options.database)}`,
    pid,
    dataDirectory,
    socketDirectory,
    stop: () => stopPostgres({ dataDirectory, major, systemUser }),
  };

  /** Into a folder that only becomes `data` when initdb is done, so that a killed start can be repeated. */
  async function initialize(): Promise<void> {
    const fresh = join(directory, `init-${randomBytes(4).toString('hex')}`);
    const passwordFile = join(directory, `password-${randomBytes(4).toString('hex')}`);
    await writeFile(passwordFile, options.password, { mode: 0o600 });
    await own(passwordFile, systemUser);
    try {
      await runTool(
        programs.initdb,
        [
          ...['--pgdata', fresh, '--username', 'postgres', '--pwfile', passwordFile, '--data-checksums'],
          ...[
            '--encoding',
            'UTF8',
            '--locale',
            'C.UTF-8',
            '--auth-local',
            'trust',
            '--auth-host',
            'scram-sha-256',
          ],
          '--no-sync',
        ],
        { signal, user: systemUser },
      );
      await runTool('mv', ['--no-target-directory', fresh, dataDirectory], { signal, user: systemUser });
    } finally {
      await rm(passwordFile, { force: true });
    }
  }

  async function start(port: number): Promise<number> {
    const log = join(directory, 'server.log');
    try {
      await runTool(programs.pgCtl, ['start', '-D', dataDirectory, '-l', log, '-w', '-t', '60'], {
        signal,
        user: systemUser,
      });
    } catch (cause) {
      signal.throwIfAborted();
      const last = await readFile(log, 'utf8').then(
        (text) => text.trim().split('\n').slice(-3).join(' / '),
        () => '',
      );
      throw new HoldfastError('ToolFailed', `PostgreSQL ${major} did not start on port ${port}: ${last}`, {
        hint: /in use/.test(last) ? `end what listens on port ${port}, or choose another port` : `see ${log}`,
        cause,
      });
    }
    return (await runningPid(dataDirectory)) as number;
  }
}

/** Ends the server of a directory, fast; not running is success. */
export async function stopPostgres(server: {
  dataDirectory: string;
  major: number;
  systemUser: string;
}): Promise<void> {
  if ((await runningPid(server.dataDirectory)) === null) return;
  const pgCtl = await postgresProgram('pg_ctl', server.major);
  const args = ['stop', '-D', server.dataDirectory, '-w', '-m'];
  const options = { signal: new AbortController().signal, user: server.systemUser };
  // An archive that cannot be reached keeps a fast stop waiting; recovery from a crash loses nothing.
  const stop = (mode: string) => runTool(pgCtl, [...args, mode, '-t', '20'], options);
  await stop('fast')
    .catch(() => stop('immediate'))
    .catch(async (error: unknown) => {
      // It was ending already, and its pid file was gone when pg_ctl looked.
      if ((await runningPid(server.dataDirectory)) !== null) throw error;
    });
}

/** The pid of the server of a data directory, where it lives and is the server of that directory. */
export async function runningPid(dataDirectory: string): Promise<number | null> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => null);
  const pid = Number(text?.split('\n')[0]);
  if (text === null || !Number.isInteger(pid) || pid <= 1) return null;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(dataDirectory) ? pid : null;
}

async function configure(
  options: PostgresOptions,
  place: { dataDirectory: string; socketDirectory: string; port: number },
): Promise<void> {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(place.port),
    unix_socket_directories: place.socketDirectory,
    logging_collector: 'off',
    log_line_prefix: '%m [%p] %q%a ',
    wal_level: 'replica',
    ...(await archiveSettings(options, place)),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteLiteral(value)}`);
  const file = join(place.dataDirectory, 'holdfast-dev.conf');
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  await own(file, options.systemUser);
  const main = join(place.dataDirectory, 'postgresql.conf');
  const text = await readFile(main, 'utf8');
  const include = "include 'holdfast-dev.conf'\n";
  if (!text.includes(include)) await writeFile(main, `${text}\n${include}`);
}

async function archiveSettings(
  options: PostgresOptions,
  place: { dataDirectory: string; socketDirectory: string; port: number },
): Promise<Record<string, string>> {
  if (options.archive === undefined) return {};
  const { directory, systemUser, database } = options;
  const [spoolDirectory, lockDirectory, logDirectory] = (await Promise.all(
    ['spool', 'lock', 'log'].map(async (name) => {
      const folder = join(directory, 'pgbackrest', name);
      await ownedFolder(join(directory, 'pgbackrest'), systemUser, 0o700);
      await ownedFolder(folder, systemUser, 0o700);
      return folder;
    }),
  )) as [string, string, string];
  const file = join(directory, 'pgbackrest.conf');
  const text = renderPgbackrestConfig({
    ...{ ...options.archive, ...place, spoolDirectory, lockDirectory, logDirectory },
    ...{ user: 'postgres', database },
  });
  await writeFile(file, text, { mode: 0o600 });
  await own(file, systemUser);
  return {
    archive_mode: 'on',
    archive_command: `pgbackrest --config=${file} --stanza=${options.archive.stanza} archive-push %p`,
  };
}

async function prepare(
  access: ServerAccess,
  options: PostgresOptions,
  dataDirectory: string,
  signal: AbortSignal,
): Promise<void> {
  const session = { signal, applicationName: 'dev' };
  await withConnection({ ...access, database: 'postgres' }, session, async (client) => {
    const found = await client.query('SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1', [
      options.database,
    ]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${quoteIdentifier(options.database)}`);
  });
  if (options.extensions !== undefined) {
    await withConnection(access, session, async (client) => {
      for (const name of options.extensions ?? []) {
        await client.query(`CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(name)} SCHEMA public`);
      }
    });
  }
  if (options.archive !== undefined) {
    const created = runPgbackrest('stanza-create', [], {
      ...options.archive,
      signal,
      user: options.systemUser,
      lockDirectory: join(options.directory, 'pgbackrest', 'lock'),
      env: {
        PGBACKREST_PG1_PATH: dataDirectory,
        PGBACKREST_PG1_PORT: String(access.port),
        PGBACKREST_PG1_USER: access.user,
        PGHOST: access.host,
        PGPASSWORD: options.password,
      },
    });
    await created.catch((error: unknown) => {
      // A backup that is running holds the stanza's lock: then the stanza is there.
      if (!(error instanceof HoldfastError) || error.type !== 'LockNotAvailable') throw error;
    });
  }
}

async function choosePort(dataDirectory: string, wanted: number): Promise<number> {
  if (wanted !== 0) return wanted;
  const before = await configuredPort(dataDirectory);
  return before ?? freePort();
}

async function configuredPort(dataDirectory: string): Promise<number | null> {
  const text = await readFile(join(dataDirectory, 'holdfast-dev.conf'), 'utf8').catch(() => '');
  const found = /^port = '(\d+)'/m.exec(text);
  return found === null ? null : Number(found[1]);
}
