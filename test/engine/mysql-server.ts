import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../src/client/dev/ports.ts';
import { type Connection, connect, type Param, withConnection } from '../../src/engines/mysql/connection.ts';
import { flavourOf, parseSeriesName } from '../../src/engines/mysql/flavour.ts';
import { quoteLiteral } from '../../src/engines/mysql/identifier.ts';
import { dumpPrograms, mysqlProgram, serverArguments } from '../../src/engines/mysql/programs.ts';
import { runTool, type StartedTool, startTool, userIds } from '../../src/engines/process.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { Run } from '../../src/model/progress.ts';

export type SeriesName = '8.0' | 'mariadb-10.11';
/** For `describe.each`. */
export const SERIES: SeriesName[] = ['8.0', 'mariadb-10.11'];

/** Of newer servers, by the names of their series: those that set-up could get; mysql-newer.test.ts names what is left out. */
export const NEWER: string[] = installed().filter((name) => !(SERIES as string[]).includes(name));

/** Oracle's client programs come from Debian's unstable: where set-up could not get them, it has said so. */
export const HAS_MYSQL_CLIENTS = (await dumpPrograms(800)).flavour === 'mysql';
/** What is dumped, or read by `mysqlbinlog`, in tests; mysql-clients.test.ts names what is left out. */
export const SERIES_WITH_CLIENTS = SERIES.filter((series) => series !== '8.0' || HAS_MYSQL_CLIENTS);

export const quietly: Run = { signal: new AbortController().signal, progress: () => {} };

/** Server options by their long names, as `{'binlog-format': 'MIXED'}`; null takes a default of here away. */
export type Settings = Record<string, string | null>;

export interface MysqlOptions {
  /** as `tools.mysql` names it */
  series: string;
  settings?: Settings;
}

export interface MysqlServer {
  readonly series: number;
  /** root without a password, over the socket; no db */
  readonly access: ServerAccess;
  /** holds everything of the server, its socket `mysqld.sock` too; other users may enter it */
  readonly directory: string;
  readonly dataDirectory: string;
  readonly port: number;
  /** who the server runs as; null: who runs the tests */
  readonly systemUser: string | null;
  readonly pid: number;
  /** one statement in a session of its own */
  query<T = Record<string, unknown>>(sql: string, params?: readonly Param[]): Promise<T[]>;
  /** statements one after the other in one session, in a db where there is one; the rows of the last */
  run<T = Record<string, unknown>>(statements: readonly string[], database?: string): Promise<T[]>;
  /** a session that the test closes itself */
  connect(database?: string): Promise<Connection>;
  /** makes a user for 127.0.0.1 with a password and these rights on everything; how it connects, over TCP */
  makeUser(name: string, rights: string, database?: string): Promise<ServerAccess>;
  log(): Promise<string>;
  /** as an operator would; done already is success */
  stop(): Promise<void>;
  /** kill -9, and waits for the end */
  kill(): Promise<void>;
  /** starts it where it does not run, after a stop where it does; settings replace those of before, one by one */
  restart(settings?: Settings): Promise<void>;
  /** stops it and removes everything */
  end(): Promise<void>;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;
/** A data directory takes MySQL three seconds to make, and a copy of one nothing. Of no run: it is kept between them. */
const TEMPLATES = fileURLToPath(new URL('../../node_modules/.cache/holdfast', import.meta.url));

/** Starts a server of its own in a temporary folder: binlogs in row format, GTIDs, every commit safe from a kill -9. */
export async function startMysql(options: MysqlOptions): Promise<MysqlServer> {
  const series = parseSeriesName(options.series) as number;
  const systemUser = serverUser();
  const empty = await template(series);
  const directory = await mkdtemp(join(tmpdir(), 'hf-mysql-'));
  const dataDirectory = join(directory, 'data');
  const port = await freePort();
  await chmod(directory, 0o755);
  await own(directory, systemUser);
  await runTool('cp', ['-a', '--reflink=auto', empty, dataDirectory], quietly);
  if (systemUser !== null) await runTool('chown', ['-R', ownerOf(systemUser), dataDirectory], quietly);
  const access: ServerAccess = {
    ...{ host: directory, port, user: 'root', password: null, database: '', tls: null },
  };
  let settings: Settings = { ...defaults(series, port), ...options.settings };
  let tool: StartedTool | null = null;

  const isUp = () =>
    withConnection(access, quietly, () => Promise.resolve(true), { applicationName: 'test start' });

  async function start(): Promise<void> {
    const program = await mysqlProgram('mysqld', series);
    const lines = Object.entries(settings).filter(([, value]) => value !== null);
    const started = startTool(
      program,
      [
        '--no-defaults',
        ...(await serverArguments(series)),
        `--datadir=${dataDirectory}`,
        `--socket=${join(directory, 'mysqld.sock')}`,
        `--pid-file=${join(directory, 'mysqld.pid')}`,
        `--log-error=${join(directory, 'error.log')}`,
        `--tmpdir=${directory}`,
        ...lines.map(([name, value]) => `--${name}=${value}`),
      ],
      { signal: quietly.signal, user: systemUser, cwd: directory },
    );
    tool = started;
    let ended = false;
    started.finished
      .catch(() => {})
      .finally(() => {
        ended = true;
      });
    const until = Date.now() + START_LIMIT_MS;
    while (!(await isUp().catch(() => false))) {
      if (ended || Date.now() > until) throw new Error(`the server did not start:\n${await log()}`);
      await sleep(50);
    }
  }

  async function stop(signal: NodeJS.Signals): Promise<void> {
    const running = tool;
    if (running?.pid === undefined) return;
    try {
      process.kill(running.pid, signal);
    } catch {
      // it has ended by itself
    }
    const finished = running.finished.catch(() => {});
    const late = new AbortController();
    const forced = sleep(STOP_LIMIT_MS, undefined, { signal: late.signal }).then(
      () => process.kill(running.pid as number, 'SIGKILL'),
      () => {},
    );
    await finished;
    late.abort();
    await forced;
    tool = null;
  }

  async function log(): Promise<string> {
    return readFile(join(directory, 'error.log'), 'utf8').catch(() => '');
  }

  const server: MysqlServer = {
    ...{ series, access, directory, dataDirectory, port, systemUser, log },
    get pid() {
      return tool?.pid as number;
    },
    query: (sql, params = []) => withConnection(access, quietly, (session) => session.query(sql, params)),
    run: <T>(statements: readonly string[], database = '') =>
      withConnection({ ...access, database }, quietly, async (session) => {
        let rows: T[] = [];
        for (const statement of statements) rows = await session.query<T>(statement);
        return rows;
      }),
    connect: (database = '') => connect({ ...access, database }, quietly),
    async makeUser(name, rights, database = '') {
      const password = `a-password-of-${name}`;
      const user = `${quoteLiteral(name)}@'127.0.0.1'`;
      await server.run([
        `CREATE USER ${user} IDENTIFIED BY ${quoteLiteral(password)}`,
        `GRANT ${rights} ON *.* TO ${user}`,
      ]);
      return { ...access, host: '127.0.0.1', user: name, password, database };
    },
    stop: () => stop('SIGTERM'),
    kill: () => stop('SIGKILL'),
    async restart(changed = {}) {
      await stop('SIGTERM');
      settings = { ...settings, ...changed };
      await start();
    },
    async end() {
      await stop('SIGTERM');
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await start();
  } catch (error) {
    await stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  return server;
}

function installed(): string[] {
  const tools = fileURLToPath(new URL('../../.tools/mysql', import.meta.url));
  const names = existsSync(tools) ? readdirSync(tools) : [];
  return names.filter((name) => parseSeriesName(name) !== null && existsSync(join(tools, name)));
}

function defaults(series: number, port: number): Settings {
  return {
    'bind-address': '127.0.0.1',
    port: String(port),
    'server-id': String(port),
    'log-bin': 'binlog',
    'binlog-format': 'ROW',
    'skip-name-resolve': 'ON',
    // As Debian's packages of MariaDB have it, whose own default is latin1.
    'character-set-server': 'utf8mb4',
    'innodb-buffer-pool-size': '64M',
    // What the kernel has is safe from the end of a process, and no test ends the machine.
    'innodb-flush-log-at-trx-commit': '2',
    'innodb-flush-method': 'nosync',
    'sync-binlog': '0',
    ...sizes(series),
    ...(flavourOf(series) === 'mysql'
      ? {
          ...{ 'gtid-mode': 'ON', 'enforce-gtid-consistency': 'ON', mysqlx: 'OFF' },
          // Packages name a folder here that a server which was only unpacked does not have.
          'secure-file-priv': '',
        }
      : { 'gtid-strict-mode': 'ON', 'log-slave-updates': 'ON' }),
  };
}

/** As the template has them: a server that starts with others writes new files first. */
function sizes(series: number): Settings {
  return flavourOf(series) === 'mysql'
    ? { 'innodb-redo-log-capacity': '32M' }
    : { 'innodb-log-file-size': '16M' };
}

/** A data directory without a server's identity, made once on this machine for each version. */
async function template(series: number): Promise<string> {
  const program = await mysqlProgram('mysqld', series);
  const version = (await runTool(program, ['--no-defaults', '--version'], quietly)).stdout;
  const name = `mysql-${/(\d+\.\d+\.\d+)/.exec(version)?.[1]}`;
  const kept = join(TEMPLATES, name);
  if (await exists(join(kept, 'mysql'))) return kept;
  await mkdir(TEMPLATES, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'hf-mysql-template-'));
  try {
    const user = serverUser();
    await own(work, user);
    const data = join(work, 'data');
    const base = await serverArguments(series);
    const tool = { signal: quietly.signal, user };
    if (flavourOf(series) === 'mysql') {
      const size = Object.entries(sizes(series)).map(([key, value]) => `--${key}=${value}`);
      const make = ['--initialize-insecure', '--innodb-flush-method=nosync', ...size];
      await runTool(program, ['--no-defaults', ...base, `--datadir=${data}`, ...make], tool);
    } else {
      const size = Object.entries(sizes(series)).map(([key, value]) => `--${key}=${value}`);
      const make = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-log-bin', ...size];
      const [basedir] = base as [string];
      const install = await mysqlProgram('mariadb-install-db', series);
      await runTool(install, ['--no-defaults', basedir, `--datadir=${data}`, ...make], tool);
    }
    await rm(join(data, 'auto.cnf'), { force: true });
    const copy = join(TEMPLATES, `${name}-${process.pid}`);
    await runTool('cp', ['-a', data, copy], quietly);
    // Another run may have been quicker.
    await rename(copy, kept).catch(() => rm(copy, { recursive: true, force: true }));
    return kept;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Never root: the server refuses, and everything may be written to as root. */
function serverUser(): string | null {
  if (process.getuid?.() !== 0) return null;
  for (const user of ['mysql', 'nobody']) {
    try {
      userIds(user);
      return user;
    } catch {
      // not on this machine
    }
  }
  throw new Error('there is no operating-system user that the server could run as');
}

function ownerOf(user: string): string {
  const { uid, gid } = userIds(user);
  return `${uid}:${gid}`;
}

async function own(path: string, user: string | null): Promise<void> {
  if (user === null) return;
  const { uid, gid } = userIds(user);
  await chown(path, uid, gid);
}

function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'EISDIR',
  );
}
