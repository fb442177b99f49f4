import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogicalDump, ObjectSink } from '../../src/engines/contract/backup.ts';
import { withConnection } from '../../src/engines/mysql/connection.ts';
import { dump } from '../../src/engines/mysql/dump.ts';
import { fingerprint } from '../../src/engines/mysql/fingerprint.ts';
import { writeOptionFile } from '../../src/engines/mysql/option-file.ts';
import { dumpPrograms } from '../../src/engines/mysql/programs.ts';
import { ROW_HASH } from '../../src/engines/mysql/row-hash.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { dumpUser, hardSchema, ODD } from './mysql-hard-schema.ts';
import { type MysqlServer, quietly, SERIES_WITH_CLIENTS, startMysql } from './mysql-server.ts';
import { fileSink } from './postgres-file-sink.ts';

const RIGHTS =
  'SELECT, RELOAD, PROCESS, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, REPLICATION CLIENT, SHOW DATABASES';

/** Pids of programs of this name that this test process started, on whatever interpreter. */
function children(name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return line.includes(name) && Number(parent) === process.pid && state !== 'Z';
      } catch {
        return false;
      }
    });
}

describe.each(SERIES_WITH_CLIENTS)('a logical backup of %s', (series) => {
  let folder: string;
  let server: MysqlServer;
  let access: ServerAccess;
  let program: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-mysql-logical-'));
    await chmod(folder, 0o755);
    server = await startMysql({ series });
    await server.run(hardSchema(server.series));
    await server.run([
      'CREATE TABLE shop.zz_big (id INT AUTO_INCREMENT PRIMARY KEY, filler VARCHAR(400))',
      "INSERT INTO shop.zz_big (filler) VALUES (REPEAT('x', 300))",
      'CREATE TABLE shop.zz_late (id INT PRIMARY KEY)',
      'INSERT INTO shop.zz_late VALUES (1)',
    ]);
    for (let doubled = 1; doubled < 65_536; doubled *= 2) {
      await server.run([
        "INSERT INTO shop.zz_big (filler) SELECT CONCAT(RAND(), REPEAT('x', 300)) FROM shop.zz_big",
      ]);
    }
    access = await dumpUser(server, 'dumper', RIGHTS);
    program = (await dumpPrograms(server.series)).flavour === 'mysql' ? 'mysqldump' : 'mariadb-dump';
  });

  afterAll(async () => {
    await server?.end();
    await rm(folder, { recursive: true, force: true });
  });

  async function into(): Promise<{ at: string; sink: ReturnType<typeof fileSink> }> {
    const at = await mkdtemp(join(folder, 'sink-'));
    return { at, sink: fileSink(at) };
  }

  /** Calls `then` at the first bytes of an object, and lets them flow on. */
  function interrupted(sink: ObjectSink, object: string, then: () => void | Promise<void>): ObjectSink {
    return {
      put(name, content, options) {
        if (name !== object) return sink.put(name, content, options);
        let first = true;
        async function* watched() {
          for await (const piece of content) {
            if (first) {
              first = false;
              await then();
            }
            yield piece;
          }
        }
        return sink.put(name, watched() as never, options);
      },
    };
  }

  /** With the client program, as anybody would; the views when every db is there. */
  async function load(copy: MysqlServer, at: string, dumped: LogicalDump): Promise<void> {
    const { client, flavour } = await dumpPrograms(copy.series);
    const options = await writeOptionFile(copy.access, flavour);
    const pour = (files: string[]) =>
      execFileSync('sh', ['-c', 'zstd -dcq -- "$@" | $CLIENT', 'sh', ...files], {
        cwd: at,
        env: { ...process.env, CLIENT: `${client} ${options.argument} --comments` },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    try {
      const all = dumped.databases.flatMap(({ objects }) => objects.map(({ key }) => `./${key}`));
      for (const file of all.filter((key) => !key.includes('.views.'))) pour([file]);
      for (const file of all.filter((key) => key.includes('.views.'))) pour([file]);
      execFileSync('sh', ['-c', '$CLIENT --force < globals.sql'], {
        cwd: at,
        env: { ...process.env, CLIENT: `${client} ${options.argument}` },
        stdio: ['ignore', 'ignore', 'ignore'],
      });
    } finally {
      await options.remove();
    }
  }

  it('is every db in one snapshot, and restores to the same rows, definitions and accounts', async () => {
    const { at, sink } = await into();
    const before = await server.query<{ File: string; Position: number }>('SHOW MASTER STATUS');
    const dumped = await dump({ access, sink, fingerprints: true }, quietly);
    expect(dumped.databases.map(({ name }) => name)).toEqual(['empty', 'legacy', ODD, 'shop']);
    const position = `${before[0]?.File}:${before[0]?.Position}`;
    expect(dumped.positions).toMatchObject({
      ...{
        timeline: null,
        start: position,
        stop: position,
        startLog: before[0]?.File,
        stopLog: before[0]?.File,
      },
      gtid: expect.stringMatching(series === '8.0' ? /^[0-9a-f-]{36}:1-\d+$/ : /^0-\d+-\d+$/),
    });
    expect(dumped.notices.join('\n')).toMatch(/FLOAT columns .*shop\.orders/);
    expect(dumped.tools).toMatchObject({ mysqldump: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    const copy = await startMysql({ series });
    try {
      await load(copy, at, dumped);
      for (const { name, fingerprints, schema } of dumped.databases) {
        const options = { hash: ROW_HASH, tables: null };
        const found = await fingerprint({ ...copy.access, database: name }, options, quietly);
        expect(found.schema).toBe(await readFile(join(at, schema.key), 'utf8'));
        expect(found.schemaSha256).toBe(fingerprints?.schemaSha256);
        expect(found.tables).toEqual(fingerprints?.tables);
        expect(fingerprints?.precision).toBe('exact');
      }
      const reader = {
        ...copy.access,
        host: '127.0.0.1',
        user: 'reader',
        password: 'readers secret',
        database: 'shop',
      };
      await withConnection(reader, quietly, async (session) => {
        expect(await session.query('SELECT note FROM notes WHERE id = 3')).toEqual([
          { note: "'); DROP TABLE notes; -- " },
        ]);
        await session.execute("INSERT INTO seen (id, what) VALUES (5, 'x')");
        await expect(session.execute('DELETE FROM seen')).rejects.toMatchObject({ type: 'PermissionDenied' });
      });
      expect(await copy.query('SELECT COUNT(*) AS n FROM shop.`a view`')).toEqual(
        await server.query('SELECT COUNT(*) AS n FROM shop.`a view`'),
      );
    } finally {
      await copy.end();
    }
  });

  it('counts what it dumps while others write, and says the position of exactly that', async () => {
    const { at, sink } = await into();
    await server.run([
      'CREATE DATABASE busy',
      'CREATE TABLE busy.a (n INT AUTO_INCREMENT PRIMARY KEY, v INT)',
      'CREATE TABLE shop.b (n INT AUTO_INCREMENT PRIMARY KEY, v INT)',
    ]);
    let stopping = false;
    const writing = withConnection(server.access, quietly, async (session) => {
      while (!stopping) {
        await session.query('START TRANSACTION');
        await session.query('INSERT INTO busy.a (v) VALUES (1)');
        await session.query('INSERT INTO shop.b (v) VALUES (1)');
        await session.query('COMMIT');
      }
    });
    const dumped = await dump({ access, sink, fingerprints: true }, quietly);
    stopping = true;
    await writing;
    const rowsOf = (db: string, table: string) =>
      dumped.databases
        .find(({ name }) => name === db)
        ?.fingerprints?.tables.find((one) => one.table === table)?.rows;
    const rows = rowsOf('busy', 'busy.a');
    expect(rowsOf('shop', 'shop.b')).toBe(rows);
    const text = execFileSync('zstd', ['-dcq', join(at, 'busy.sql.zst')], { encoding: 'latin1' });
    const inserted = [...text.matchAll(/[(](\d+),1[)]/g)].map(([, n]) => Number(n));
    expect(inserted).toHaveLength(rows ?? -1);
    // What is in the log behind the position is what the dump does not have.
    const [log, position] = (dumped.positions.stop as string).split(':') as [string, string];
    const events = await server.query<{ Event_type: string; Info: string }>(
      `SHOW BINLOG EVENTS IN '${log}' FROM ${position}`,
    );
    const later = events.filter(
      ({ Event_type, Info }) => /^Write_rows/.test(Event_type) && /STMT_END/.test(Info),
    ).length;
    const [{ n = '' } = {}] = await server.query<{ n?: string }>('SELECT COUNT(*) AS n FROM busy.a');
    expect((rows ?? 0) + later / 2).toBe(Number(n));
    await server.run(['DROP DATABASE busy', 'DROP TABLE shop.b']);
  });

  it('holds up nobody behind a long statement, and gives up', async () => {
    await server.run(["INSERT INTO shop.seen (what) VALUES ('so that there is a row')"]);
    // MariaDB's lock waits for what writes alone.
    const slow =
      series === '8.0' ? 'SELECT SLEEP(30) FROM shop.seen' : 'UPDATE shop.seen SET what = SLEEP(30)';
    const long = server.query(slow).catch(() => {});
    const find = () =>
      server.query<{ id: string }>(
        "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(30)%' AND TIME >= 2 AND ID <> CONNECTION_ID()",
      );
    await expect.poll(find).toHaveLength(1);
    const { sink } = await into();
    const giving = dump({ access, sink, fingerprints: false }, quietly, { patienceMs: 0 });
    await expect(giving).rejects.toMatchObject({
      type: 'LockNotAvailable',
      message: expect.stringMatching(/session \d+ has been running a statement/),
      hint: expect.stringContaining('KILL QUERY'),
    });
    expect(await sink.names()).toEqual([]);
    expect(await server.query('SELECT COUNT(*) > 0 AS n FROM shop.orders')).toHaveLength(1);
    const [{ id = '0' } = {}] = await find();
    await server.query(`KILL ${Number(id)}`);
    await long;
  });

  it('works without the right to a lock: no position, and counts that prove nothing', async () => {
    const poor = await dumpUser(server, 'poor', 'SELECT, PROCESS, SHOW VIEW, TRIGGER, EVENT, SHOW DATABASES');
    const { sink } = await into();
    const dumped = await dump({ access: poor, sink, fingerprints: true }, quietly);
    expect(dumped.positions).toMatchObject({ start: null, stop: null, startLog: null, gtid: null });
    expect(dumped.databases.map(({ fingerprints }) => fingerprints?.precision)).toEqual(
      Array(4).fill('bounds'),
    );
    expect(dumped.notices.filter((notice) => /grant the user RELOAD/.test(notice))).toHaveLength(1);
  });

  it('names tables that do not stand still', async () => {
    await server.run([
      'CREATE TABLE shop.old (id INT) ENGINE=MyISAM',
      'CREATE TABLE shop.memory (id INT) ENGINE=MEMORY',
    ]);
    const { sink } = await into();
    await expect(dump({ access, sink, fingerprints: true }, quietly)).rejects.toMatchObject({
      type: 'NotSupported',
      message: expect.stringMatching(/shop\.memory \(MEMORY\), shop\.old \(MyISAM\)/),
      hint: expect.stringContaining('ENGINE=InnoDB'),
    });
    expect(await sink.names()).toEqual([]);
    await server.run(['DROP TABLE shop.old', 'DROP TABLE shop.memory']);
  });

  it.each([
    ['CREATE TABLE shop.fresh (id INT)', /table shop\.fresh/, 'DROP TABLE shop.fresh'],
    ['TRUNCATE shop.zz_late', /zz_late/, 'INSERT INTO shop.zz_late VALUES (1)'],
    ['DROP VIEW shop.later', /later/, 'CREATE VIEW shop.later AS SELECT 1 AS v'],
    ['CREATE PROCEDURE shop.another() SELECT 1', /procedure shop\.another/, 'DROP PROCEDURE shop.another'],
    // MariaDB holds such a change back to the dump's end.
    ...(series === '8.0'
      ? ([
          [
            'ALTER TABLE shop.customers ADD more INT',
            /table shop\.customers/,
            'ALTER TABLE shop.customers DROP more',
          ],
          ['TRUNCATE shop.seen', /shop\.seen/, "INSERT INTO shop.seen (what) VALUES ('again')"],
        ] as [string, RegExp, string][])
      : []),
  ])('is none where %s comes between', async (ddl, named, undo) => {
    const { sink } = await into();
    let done = false;
    const late = interrupted(sink, 'shop.sql.zst', async () => {
      await server.run([ddl]);
      done = true;
    });
    await expect(dump({ access, sink: late, fingerprints: false }, quietly)).rejects.toMatchObject({
      type: 'BackupFailed',
      message: expect.stringMatching(named),
      hint: expect.stringContaining('migrations'),
    });
    expect(done).toBe(true);
    expect(await sink.names()).not.toContain('shop.sql.views.zst');
    await server.run([undo]);
  });

  describe('that does not end well leaves no object', () => {
    const attempt = async (then: () => void | Promise<void>, signal = quietly.signal, by = access) => {
      const { sink } = await into();
      const error = await dump(
        { access: by, sink: interrupted(sink, 'shop.sql.zst', then), fingerprints: true },
        { ...quietly, signal },
      ).then(
        () => null,
        (cause: unknown) => cause,
      );
      return { error, left: (await sink.names()).filter((name) => name.startsWith('shop')) };
    };
    const nothingRuns = () => {
      expect([...children('--single-transaction'), ...children('zstd')]).toEqual([]);
      expect(
        readdirSync(tmpdir()).filter((name) => name.startsWith(`holdfast-client-${process.pid}-`)),
      ).toEqual([]);
    };

    it('when the dump is killed half way', async () => {
      const { error, left } = await attempt(() => {
        const [pid] = children('--single-transaction');
        expect(pid).toBeDefined();
        process.kill(pid as number, 'SIGKILL');
      });
      expect(error).toMatchObject({
        type: 'ToolFailed',
        message: expect.stringContaining(`${program} ended with signal SIGKILL`),
      });
      expect(left).toEqual([]);
      nothingRuns();
    });

    it('when zstd is killed half way, and blames zstd', async () => {
      const { error, left } = await attempt(() => {
        process.kill(children('zstd')[0] as number, 'SIGKILL');
      });
      expect(error).toMatchObject({
        type: 'ToolFailed',
        message: expect.stringContaining('zstd ended with signal SIGKILL'),
      });
      expect(left).toEqual([]);
      nothingRuns();
    });

    it('when the server ends the session of the dump', async () => {
      const { error, left } = await attempt(async () => {
        const sessions = await server.query<{ id: string }>(
          "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'dumper' AND INFO LIKE 'SELECT /*!40001 SQL_NO_CACHE */%'",
        );
        expect(sessions).toHaveLength(1);
        for (const { id } of sessions) await server.query(`KILL ${Number(id)}`);
      });
      expect(error).toMatchObject({ type: 'ConnectionFailed' });
      expect(left).toEqual([]);
    });

    it('when it is cancelled: it ends with the reason, after its processes', async () => {
      const cancel = new AbortController();
      const { error, left } = await attempt(() => cancel.abort(new Error('no longer wanted')), cancel.signal);
      expect(error).toMatchObject({ message: 'no longer wanted' });
      expect(left).toEqual([]);
      nothingRuns();
      await expect
        .poll(() => server.query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'dumper'"))
        .toEqual([]);
    });

    it('when the sink fails', async () => {
      const { error, left } = await attempt(() => {
        throw new Error('the repository is away');
      });
      expect(error).toMatchObject({ message: 'the repository is away' });
      expect(left).toEqual([]);
      nothingRuns();
    });

    it('when the password is wrong, without a word of it', async () => {
      const { error } = await attempt(() => {}, quietly.signal, { ...access, password: 'not the secret' });
      expect(error).toMatchObject({ type: 'AuthenticationFailed' });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('not the secret');
    });
  });

  it('says that there is no base for a recovery where no log is written', async () => {
    const off = await startMysql({
      series,
      settings: { 'log-bin': null, ...(series === '8.0' ? { 'disable-log-bin': 'ON' } : {}) },
    });
    try {
      await off.run(['CREATE DATABASE a', 'CREATE TABLE a.t (id INT)']);
      const { sink } = await into();
      const by = await dumpUser(off, 'dumper', RIGHTS, 'a');
      const dumped = await dump({ access: by, sink, fingerprints: true }, quietly);
      expect(dumped.positions.start).toBeNull();
      expect(dumped.notices.join()).toContain('writes no binary log');
      expect(dumped.databases[0]?.fingerprints?.precision).toBe('exact');
    } finally {
      await off.end();
    }
  });
});
