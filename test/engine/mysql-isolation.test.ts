import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withConnection } from '../../src/engines/mysql/connection.ts';
import { refusalOf } from '../../src/engines/mysql/error.ts';
import { replicationWords } from '../../src/engines/mysql/flavour.ts';
import { serverPid } from '../../src/engines/mysql/instance-processes.ts';
import { instanceAccess, layoutOf, writeOwned } from '../../src/engines/mysql/place.ts';
import { mysqlProgram, serverArguments } from '../../src/engines/mysql/programs.ts';
import { ensureRunning, stopInOrder } from '../../src/engines/mysql/server.ts';
import { renderSettings } from '../../src/engines/mysql/settings.ts';
import { type StartedTool, startTool, userIds } from '../../src/engines/process.ts';
import type { InstanceRecord } from '../../src/instances/instance.ts';
import {
  quietly,
  RESTORE_USER,
  type Recovery,
  recover,
  startRecovery,
  value,
} from './mysql-recovery-fixture.ts';
import { SERIES } from './mysql-server.ts';

describe.each(SERIES)('%s', (series) => {
  const isMysql = series === '8.0';
  let recovery: Recovery;
  let place: InstanceRecord;

  beforeAll(async () => {
    recovery = await startRecovery(series, { 'event-scheduler': 'OFF' });
    await recovery.sql(
      'CREATE DATABASE shop',
      'CREATE TABLE shop.ticks (at timestamp(6))',
      'CREATE EVENT shop.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.ticks VALUES (NOW(6))',
      "CREATE USER app@localhost IDENTIFIED BY ''",
      'GRANT ALL ON shop.* TO app@localhost',
    );
    const base = await recovery.base();
    await recovery.sql("INSERT INTO shop.ticks VALUES ('2026-01-01 00:00:00')");
    place = await recovery.provision('isolated');
    await recover(recovery, place, base, { latest: true }, await recovery.logs(base));
  });
  afterAll(() => recovery?.end());

  const copy = () => instanceAccess(place);
  const ask = (sql: string, access = copy()) =>
    withConnection(access, quietly, (session) => session.query(sql));
  const ticks = () => value(copy(), 'SELECT COUNT(*) FROM shop.ticks');
  /** Loads a library of the server's own folder; the number of the error: 1126 where it is not found, 1127 where it is no plugin. */
  const load = () =>
    ask(
      isMysql
        ? "INSTALL PLUGIN cached SONAME 'component_reference_cache.so'"
        : "INSTALL SONAME 'metadata_lock_info'",
    ).then(() => null, refusalOf);
  const binlogs = async () =>
    (await readdir(layoutOf(place).data)).filter((name) => /(?:-bin|binlog)\.\d+$/.test(name));

  /** Ports of the network that a process listens on. */
  async function listening(pid: number): Promise<number> {
    const folder = `/proc/${pid}/fd`;
    const links = await Promise.all(
      (await readdir(folder)).map((name) => readlink(join(folder, name)).catch(() => '')),
    );
    const own = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
    const tables = await Promise.all(
      ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')),
    );
    const lines = tables.flatMap((text) => text.trim().split('\n').slice(1));
    return lines
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && own.has(inode)).length;
  }

  test('it listens on no network, behind a folder of its own user, and writes no log', async () => {
    const pid = (await serverPid(place)) as number;
    expect(await listening(pid)).toBe(0);
    const { sockets } = layoutOf(place);
    const folder = await stat(sockets);
    expect(folder.mode & 0o777).toBe(0o700);
    expect(folder.uid).toBe(userIds(RESTORE_USER).uid);
    expect((await stat(`/proc/${pid}`)).uid).toBe(userIds(RESTORE_USER).uid);
    expect(await binlogs()).toEqual([]);
    expect(await value(copy(), 'SELECT @@server_id')).not.toBe(
      await value(recovery.production.access, 'SELECT @@server_id'),
    );
  });

  test('it runs no event, loads no library, reads and writes no file elsewhere, and lets others only read', async () => {
    expect(
      await value(copy(), "SELECT COUNT(*) FROM information_schema.events WHERE event_schema = 'shop'"),
    ).toBe('1');
    const before = await ticks();
    await sleep(2_500);
    expect(await ticks()).toBe(before);
    expect(await load()).toBe(1126);
    expect(await value(copy(), "SELECT LOAD_FILE('/etc/passwd') IS NULL")).toBe('1');
    const out = join(recovery.directory, 'written');
    await expect(ask(`SELECT 1 INTO OUTFILE '${out}'`)).rejects.toThrow(/secure-file-priv/);
    const app = { ...copy(), user: 'app', database: 'shop' };
    expect(await value(app, 'SELECT COUNT(*) FROM ticks')).toBe(before);
    await expect(ask('INSERT INTO ticks VALUES (NOW())', app)).rejects.toThrow();
    // What is compared with it, Holdfast may lay beside it.
    await ask('CREATE DATABASE holdfast_scratch');
    await ask('CREATE TABLE holdfast_scratch.k AS SELECT 1 AS a');
    await ask('DROP DATABASE holdfast_scratch');
  });

  test('one that has been given a source is not taken for isolated', async () => {
    const [words] = await withConnection(copy(), quietly, async ({ server }) => [replicationWords(server)]);
    if (words === undefined) throw new Error('no words');
    await ask(
      `${words.change} ${words.source}_HOST = '127.0.0.1', ${words.source}_PORT = ${recovery.production.port}`,
    );
    await stopInOrder(place);
    await expect(ensureRunning(place, quietly)).rejects.toMatchObject({ type: 'CheckFailed' });
    expect(
      await value(copy(), "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'system user'"),
    ).toBe('0');
    await ask(words.reset);
    await ensureRunning(place, quietly);
  });

  test('the same files with the settings of production: all of that happens', async () => {
    await stopInOrder(place);
    const server = await startAsProduction();
    try {
      const before = Number(await ticks());
      await expect.poll(async () => Number(await ticks())).toBeGreaterThan(before);
      expect(await load()).toBe(isMysql ? 1127 : null);
      expect(await value(copy(), "SELECT LOAD_FILE('/etc/passwd') IS NULL")).toBe('0');
      expect(await listening((await serverPid(place)) as number)).toBeGreaterThan(0);
      expect(await binlogs()).not.toEqual([]);
      await ask('INSERT INTO shop.ticks VALUES (NOW())', { ...copy(), user: 'app', database: 'shop' });
    } finally {
      await stopInOrder(place);
      await server.finished.catch(() => {});
    }
  });

  async function startAsProduction(): Promise<StartedTool> {
    const serverMajor = recovery.production.series;
    const settings = renderSettings(place, { serverMajor, lowerCaseTableNames: 0, readOnly: false });
    const { data, configuration } = layoutOf(place);
    const wanted: Record<string, string | null> = {
      'skip-networking': 'OFF',
      'event-scheduler': 'ON',
      'skip-log-bin': null,
      'secure-file-priv': '""',
      'plugin-dir': null,
      'replicate-same-server-id': null,
    };
    const lines = settings.split('\n').flatMap((line) => {
      const name = line.split(' = ')[0] as string;
      if (!(name in wanted)) return [line];
      return wanted[name] === null ? [] : [`${name} = ${wanted[name]}`];
    });
    const file = join(configuration, 'production.cnf');
    await writeOwned(
      place,
      file,
      `${lines.join('\n')}\nlog-bin = binlog\nport = 0\nbind-address = 127.0.0.1\n`,
    );
    const server = startTool(
      await mysqlProgram('mysqld', serverMajor),
      [`--defaults-file=${file}`, ...(await serverArguments(serverMajor))],
      { ...quietly, user: RESTORE_USER, cwd: data },
    );
    await expect.poll(() => ticks().catch(() => null)).not.toBe(null);
    return server;
  }
});
