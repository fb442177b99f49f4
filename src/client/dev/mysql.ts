import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { withConnection } from '../../engines/mysql/connection.ts';
import { describeSeries, flavourOf } from '../../engines/mysql/flavour.ts';
import { mysqlProgram, serverArguments } from '../../engines/mysql/programs.ts';
import { runTool } from '../../engines/process.ts';
import type { ServerAccess } from '../../model/access.ts';
import { startDetached, waitUntilReady } from './detached.ts';
import { exists, own, ownedFolder, shortSocketFolder } from './owned-folder.ts';
import { freePort } from './ports.ts';
import { endProcess, identifyProcess } from './process.ts';

export interface MysqlOptions {
  /** everything of the server lies under it; made when absent */
  directory: string;
  /** 0: a free one, kept for later starts of the same directory */
  port: number;
  /** 800 is MySQL 8.0, 1011 MariaDB 10.11 */
  series: number;
  /** operating-system user of the server */
  systemUser: string;
  /** statements that make its accounts and dbs, a line each, run before anybody can connect, at every start */
  prepare: readonly string[];
  /** who is to get in when it is ready; host and port are this server's */
  account: Pick<ServerAccess, 'user' | 'password' | 'database'>;
  /** lines of its option file beyond the defaults here, for instance `{max_connections: '50'}` */
  settings?: Record<string, string>;
  signal: AbortSignal;
}

export interface RunningMysql {
  /** over TCP on 127.0.0.1, by the account that was named */
  access: ServerAccess;
  pid: number;
  /** its binary logs, `binlog.000001` and so on */
  logDirectory: string;
  /** the socket's file */
  socket: string;
}

const READY_WITHIN_MS = 120_000;

/**
 * Starts a MySQL or MariaDB server for development: on 127.0.0.1, detached from the starter, with binary logs of rows
 * and GTIDs. A second start of the same directory starts only what does not run. Throws ToolMissing, ToolFailed.
 */
export async function startMysql(options: MysqlOptions): Promise<RunningMysql> {
  const { directory, systemUser, series, signal } = options;
  const program = await mysqlProgram('mysqld', series);
  await ownedFolder(directory, systemUser, 0o755);
  const logDirectory = join(directory, 'log');
  await ownedFolder(logDirectory, systemUser, 0o750);
  const socket = join(await shortSocketFolder(directory, systemUser), 'mysqld.sock');
  if (!(await exists(join(directory, 'data')))) await initialize(options, program);
  const running = await mysqlPid(directory);
  const port = running === null ? await choosePort(options) : ((await configuredPort(directory)) as number);
  const access: ServerAccess = { ...options.account, host: '127.0.0.1', port, tls: null };
  const answers = () => withConnection(access, { signal }, async () => true);
  const log = join(directory, 'server.log');
  if (running !== null) {
    await waitUntilReady(describeSeries(series), { pid: running, log }, answers, { signal });
    return { access, pid: running, logDirectory, socket };
  }
  await writeFile(join(directory, 'my.cnf'), optionFile(options, { port, socket, logDirectory }));
  const prepare = join(directory, `prepare-${randomBytes(4).toString('hex')}.sql`);
  // Written at every start, for a start that was killed before the accounts were made.
  await writeFile(prepare, `${['SET sql_log_bin = 0', ...options.prepare].join(';\n')};\n`, { mode: 0o600 });
  await own(prepare, systemUser);
  try {
    const pid = await startDetached({
      file: program,
      // Its own way to become another user: it ends as one process, without a parent that has to be told.
      args: [
        `--defaults-file=${join(directory, 'my.cnf')}`,
        ...(await serverArguments(series)),
        ...[`--user=${systemUser}`, `--init-file=${prepare}`],
      ],
      directory,
      log,
    });
    await waitUntilReady(describeSeries(series), { pid, log }, answers, {
      limitMs: READY_WITHIN_MS,
      signal,
    }).catch(async (error) => {
      await end(pid);
      throw error;
    });
    return { access, pid, logDirectory, socket };
  } finally {
    // It has passwords.
    await rm(prepare, { force: true });
  }
}

/** Ends the server of a directory cleanly; not running is success. */
export async function stopMysql(directory: string): Promise<void> {
  const pid = await mysqlPid(directory);
  if (pid !== null) await end(pid);
}

/** The pid of the server of a directory, where it lives and is the server of that directory. */
export async function mysqlPid(directory: string): Promise<number | null> {
  const text = await readFile(pidFile(directory), 'utf8').catch(() => '');
  const pid = Number(text.trim());
  if (text === '' || !Number.isInteger(pid) || pid <= 1) return null;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(`--defaults-file=${join(directory, 'my.cnf')}\0`) ? pid : null;
}

const pidFile = (directory: string) => join(directory, 'mysql.pid');

async function end(pid: number): Promise<void> {
  const identity = await identifyProcess(pid);
  if (identity !== null) await endProcess(identity, [{ signal: 'SIGTERM', patienceMs: 45_000 }]);
}

/** Into a folder that only becomes `data` when it is complete, so that a killed start can be repeated. */
async function initialize(
  { directory, series, systemUser: user, signal }: MysqlOptions,
  program: string,
): Promise<void> {
  const fresh = join(directory, `init-${randomBytes(4).toString('hex')}`);
  if (flavourOf(series) === 'mysql') {
    const args = [
      '--no-defaults',
      '--initialize-insecure',
      `--datadir=${fresh}`,
      '--innodb-log-file-size=8M',
      // No need to outlive a power cut yet: as initdb's --no-sync.
      '--innodb-flush-method=nosync',
    ];
    await runTool(program, [...args, ...(await serverArguments(series))], { signal, user });
  } else {
    const script = await mysqlProgram('mariadb-install-db', series);
    const base = dirname(dirname(program));
    const args = ['--no-defaults', `--basedir=${base}`, `--datadir=${fresh}`, '--skip-name-resolve'];
    const accounts = [
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-flush-method=nosync',
    ];
    await runTool(script, [...args, ...accounts], { signal, user });
  }
  await runTool('mv', ['--no-target-directory', fresh, join(directory, 'data')], { signal, user });
}

function optionFile(
  { directory, series, settings = {} }: MysqlOptions,
  place: { port: number; socket: string; logDirectory: string },
): string {
  const own: Record<string, string> = {
    datadir: join(directory, 'data'),
    socket: place.socket,
    port: String(place.port),
    bind_address: '127.0.0.1',
    pid_file: pidFile(directory),
    skip_name_resolve: 'ON',
    server_id: '1',
    log_bin: join(place.logDirectory, 'binlog'),
    binlog_format: 'ROW',
    binlog_row_image: 'FULL',
    sync_binlog: '1',
    binlog_expire_logs_seconds: '604800',
    character_set_server: 'utf8mb4',
    default_time_zone: '+00:00',
    innodb_buffer_pool_size: '64M',
    ...(flavourOf(series) === 'mysql'
      ? { gtid_mode: 'ON', enforce_gtid_consistency: 'ON', mysqlx: 'OFF' }
      : { gtid_strict_mode: 'ON' }),
    ...settings,
  };
  const lines = Object.entries(own).map(([name, value]) => `${name} = ${value}`);
  return ['# Written at each start: edits are lost.', '[mysqld]', ...lines, ''].join('\n');
}

async function choosePort({ directory, port }: MysqlOptions): Promise<number> {
  if (port !== 0) return port;
  return (await configuredPort(directory)) ?? freePort();
}

async function configuredPort(directory: string): Promise<number | null> {
  const text = await readFile(join(directory, 'my.cnf'), 'utf8').catch(() => '');
  const found = /^port = (\d+)$/m.exec(text);
  return found === null ? null : Number(found[1]);
}
