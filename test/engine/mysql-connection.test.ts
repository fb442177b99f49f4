import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Row, withConnection } from '../../src/engines/mysql/connection.ts';
import { requireDirect } from '../../src/engines/mysql/direct.ts';
import { refusalOf } from '../../src/engines/mysql/error.ts';
import { inspect } from '../../src/engines/mysql/inspect.ts';
import { probe } from '../../src/engines/mysql/probe.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

describe.each(SERIES)('a session at %s', (series) => {
  let server: MysqlServer;
  let shop: ServerAccess;

  beforeAll(async () => {
    server = await startMysql({ series, settings: { 'sql-mode': 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES' } });
    shop = { ...server.access, database: 'shop' };
    await server.run([
      'CREATE DATABASE shop',
      'CREATE TABLE shop.odd (id BIGINT UNSIGNED PRIMARY KEY, d DATE, t DATETIME(6), s VARCHAR(50), j JSON, n DECIMAL(30, 5), b VARBINARY(10), bits BIT(3))',
      'CREATE TABLE shop.many (id INT PRIMARY KEY, filler VARCHAR(2000) CHARACTER SET latin1)',
    ]);
  });
  afterAll(() => server?.end());

  const processes = async (like: string) =>
    server.query(
      `SELECT id AS id FROM information_schema.processlist WHERE info LIKE ? AND id <> CONNECTION_ID()`,
      [`%${like}%`],
    );

  test('knows which server it is at, and that no pooler is between', async () => {
    await withConnection(server.access, quietly, async (session) => {
      expect(session.server).toEqual({
        flavour: series === '8.0' ? 'mysql' : 'mariadb',
        version: expect.stringMatching(series === '8.0' ? /^8\.0\.\d+$/ : /^10\.11\.\d+$/),
        series: series === '8.0' ? 800 : 1011,
      });
      expect(session.id).toMatch(/^\d+$/);
      expect(() => requireDirect(session, server.access)).not.toThrow();
    });
  });

  test('values come and go as they are, whatever the sql_mode of the server', async () => {
    const text = 'a \\ b \' c " d ? é \u{1f600} \n \0';
    await withConnection(shop, quietly, async (session) => {
      await session.query('INSERT INTO odd VALUES (?, ?, ?, ?, ?, ?, ?, ?)', [
        18446744073709551615n,
        '0000-00-00',
        '2026-02-31 10:00:00.123456',
        text,
        '{"a": 1}',
        '1234567890123456789012345.12345',
        Buffer.from([0, 0x27, 0x5c, 255]),
        5,
      ]);
      expect(await session.query('SELECT * FROM odd')).toEqual([
        {
          id: '18446744073709551615',
          d: '0000-00-00',
          t: '2026-02-31 10:00:00.123456',
          s: text,
          j: '{"a": 1}',
          n: '1234567890123456789012345.12345',
          b: Buffer.from([0, 0x27, 0x5c, 255]),
          bits: Buffer.from([5]),
        },
      ]);
      expect(await session.query("SELECT 'is it ?' AS `a ?`, ? AS b", ['?'])).toEqual([
        { 'a ?': 'is it ?', b: '?' },
      ]);
      await expect(session.query('SELECT ?', [1, 2])).rejects.toThrow(RangeError);
      await expect(session.query('SELECT 1; SELECT 2')).rejects.toMatchObject({ type: 'ToolFailed' });
    });
  });

  test('its settings are ours', async () => {
    const [row] = await server.query(
      'SELECT @@time_zone AS zone, @@sql_mode AS mode, @@character_set_client AS charset, @@autocommit AS auto',
    );
    expect(row).toMatchObject({ zone: '+00:00', charset: 'utf8mb4' });
    expect(row?.mode).toContain('STRICT_ALL_TABLES');
    expect(row?.mode).not.toMatch(/ANSI_QUOTES|NO_BACKSLASH_ESCAPES|ZERO_DATE/);
  });

  test('a read-only one writes nothing', async () => {
    const work = withConnection(shop, quietly, (session) => session.query('DELETE FROM odd'), {
      readOnly: true,
    });
    await expect(work).rejects.toMatchObject({ type: 'ToolFailed' });
  });

  test('an abort ends what the server does, and says the reason of the signal', async () => {
    const reason = new Error('enough');
    await server.run(["INSERT INTO many VALUES (-1, '')"], 'shop');
    const holder = await connect(shop, quietly);
    await holder.query('START TRANSACTION');
    await holder.query('SELECT * FROM many WHERE id = -1 FOR UPDATE');
    // While it waits for a lock, a server does not notice that its client has gone.
    for (const statement of ['SELECT SLEEP(50) AS holdfast_test', 'DELETE FROM many WHERE id = -1']) {
      const controller = new AbortController();
      const options = { lockTimeoutMs: 100_000 };
      const run = { signal: controller.signal };
      const work = withConnection(shop, run, (session) => session.query(statement), options);
      await expect.poll(() => processes(statement)).toHaveLength(1);
      controller.abort(reason);
      await expect(work).rejects.toBe(reason);
      await expect.poll(() => processes(statement)).toHaveLength(0);
    }
    await holder.query('DELETE FROM many WHERE id = -1');
    await holder.query('COMMIT');
    await holder.close();
    await expect(connect(server.access, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('rows are streamed as the reader takes them', async () => {
    const rows = 40_000;
    await withConnection(shop, quietly, async (session) => {
      await session.query(
        `INSERT INTO many WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         SELECT (a.i - 1) * 40 + b.i, REPEAT('x', 2000) FROM n a JOIN n b ON b.i <= 40`,
      );
      const select = 'SELECT id, filler, NULL FROM many ORDER BY id';
      let count = 0;
      for await (const row of session.stream(select)) {
        count += 1;
        if (count === 2) expect(row).toEqual([Buffer.from('2'), Buffer.alloc(2000, 'x'), null]);
        if (count === 3) await expect(session.query('SELECT 1')).rejects.toThrow('busy');
        if (count > 1) continue;
        // Much longer than reading all of it takes: the server still waits to be rid of it.
        await sleep(2_000);
        expect(await processes(select)).toHaveLength(1);
      }
      expect(count).toBe(rows);
      expect(await session.query('SELECT COUNT(*) AS n FROM many')).toEqual([{ n: String(rows) }]);
      const none: Row[] = [];
      for await (const row of session.stream('SELECT id FROM many WHERE id < ?', [0])) none.push(row);
      expect(none).toEqual([]);
    });
  });

  test('a stream that is left, refused or cut ends', async () => {
    const session = await connect(shop, quietly);
    for await (const row of session.stream('SELECT id FROM many')) {
      expect(row).toHaveLength(1);
      break;
    }
    await expect(session.query('SELECT 1')).rejects.toMatchObject({ type: 'ConnectionFailed' });
    await session.close();

    const take = async (sql: string, during: (id: string) => Promise<unknown>) =>
      withConnection(shop, quietly, async (other) => {
        let taken = 0;
        for await (const _ of other.stream(sql)) {
          taken += 1;
          if (taken === 1) await during(other.id);
        }
        return taken;
      });
    await expect(take('SELECT nothing FROM many', async () => {})).rejects.toMatchObject({
      type: 'ToolFailed',
      message: expect.stringContaining('nothing'),
    });
    const cut = take('SELECT a.filler FROM many a, many b', (id) => server.query(`KILL ${id}`));
    await expect(cut).rejects.toMatchObject({ type: 'ConnectionFailed' });

    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = withConnection(shop, { signal: controller.signal }, async (other) => {
      for await (const _ of other.stream('SELECT a.filler FROM many a, many b')) controller.abort(reason);
    });
    await expect(aborted).rejects.toBe(reason);
    await expect.poll(() => processes('FROM many a')).toHaveLength(0);
  });

  test('failures have names, and quote no rows', async () => {
    const user = await server.makeUser('somebody', 'USAGE');
    const refused = (access: ServerAccess, sql = 'SELECT 1') =>
      withConnection(access, quietly, (session) => session.query(sql)).then(
        () => null,
        (error: unknown) => error,
      );
    expect(await refused({ ...user, password: 'wrong' })).toMatchObject({ type: 'AuthenticationFailed' });
    expect(await refused({ ...user, port: 1 })).toMatchObject({ type: 'ConnectionFailed' });
    expect(await refused({ ...user, host: '/nowhere' })).toMatchObject({ type: 'ConnectionFailed' });
    expect(await refused({ ...user, host: 'db.example' })).toMatchObject({ type: 'InvalidConfiguration' });
    expect(await refused({ ...server.access, database: 'nosuch' })).toMatchObject({
      type: 'InvalidConfiguration',
    });
    expect(await refused({ ...user, database: 'shop' })).toMatchObject({ type: 'PermissionDenied' });
    expect(await refused(user, 'SELECT * FROM shop.odd')).toMatchObject({
      type: 'PermissionDenied',
      message: expect.stringContaining('SELECT'),
    });
    expect(await refused(user, 'FLUSH TABLES WITH READ LOCK')).toMatchObject({
      type: 'PermissionDenied',
      message: expect.stringContaining('RELOAD'),
    });
    const twice = await refused(shop, "INSERT INTO many VALUES (1, 'secret row')");
    expect(twice).toMatchObject({ type: 'ToolFailed' });
    expect(refusalOf(twice)).toBe(1062);
    expect(String(twice)).not.toContain('1-');
    const gone = await refused(shop, 'SELECT * FROM nosuch');
    expect(refusalOf(gone)).toBe(1146);
  });

  test('a password is taken over a socket too, known to the server or not yet', async () => {
    const plugin = series === '8.0' ? 'WITH caching_sha2_password ' : '';
    await server.query(`CREATE USER local@localhost IDENTIFIED ${plugin}BY 'a-password-of-local'`);
    const access = { ...server.access, user: 'local', password: 'a-password-of-local' };
    const user = () =>
      withConnection(access, quietly, (session) => session.query('SELECT CURRENT_USER() AS user'));
    for (let times = 0; times < 2; times += 1) expect(await user()).toEqual([{ user: 'local@localhost' }]);
    // Not one connection beside the session's own.
    expect(await server.query("SELECT id FROM information_schema.processlist WHERE user = 'local'")).toEqual(
      [],
    );
  });

  test('a lock that is held is not waited for longer than asked', async () => {
    const holder = await connect(shop, quietly);
    await holder.query('START TRANSACTION');
    await holder.query('SELECT * FROM many WHERE id = 1 FOR UPDATE');
    const options = { lockTimeoutMs: 1_000 };
    const row = withConnection(
      shop,
      quietly,
      (session) => session.query('SELECT * FROM many WHERE id = 1 FOR UPDATE'),
      options,
    );
    await expect(row).rejects.toMatchObject({ type: 'LockNotAvailable' });
    const table = withConnection(
      shop,
      quietly,
      (session) => session.query('ALTER TABLE many ADD COLUMN x INT'),
      options,
    );
    await expect(table).rejects.toMatchObject({ type: 'LockNotAvailable' });
    await holder.close();
  });

  test('facts: version, size, dbs without those of the server, and an identity', async () => {
    // Sizes are what the server counted last, which it does some seconds after a change.
    await server.query('ANALYZE TABLE shop.many');
    const facts = await inspect(server.access, quietly);
    expect(facts).toMatchObject({
      major: series === '8.0' ? 800 : 1011,
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      databases: [{ name: 'shop', bytes: expect.any(Number) }],
    });
    expect(facts.databases[0]?.bytes).toBeGreaterThan(40_000_000);
    expect(facts.totalBytes).toBeGreaterThan(facts.databases[0]?.bytes as number);
    expect(facts.systemIdentifier).not.toBe('');
  });

  test('a probe says on which server it was, and refuses one that takes no writes', async () => {
    const { systemIdentifier } = await inspect(server.access, quietly);
    const user = await server.makeUser('app', 'SELECT');
    expect(await probe(user, quietly)).toEqual({ systemIdentifier, timeline: 1 });
    // Root may write in spite of it.
    await server.query('SET GLOBAL read_only = 1');
    for (const access of [user, server.access]) {
      await expect(probe(access, quietly)).rejects.toMatchObject({
        type: 'CheckFailed',
        message: expect.stringContaining('read_only'),
      });
    }
    await server.query('SET GLOBAL read_only = 0');
    await server
      .query('SET GLOBAL transaction_read_only = 1')
      .catch(() => server.query('SET GLOBAL tx_read_only = 1'));
    await expect(probe(user, quietly)).rejects.toMatchObject({
      message: expect.stringContaining('transaction_read_only'),
    });
    await server.restart();
    expect(await probe(user, quietly)).toEqual({ systemIdentifier, timeline: 1 });
  });

  test('another server in its place is another', async () => {
    const other = await startMysql({ series });
    try {
      const { systemIdentifier } = await inspect(other.access, quietly);
      expect(systemIdentifier).not.toBe((await inspect(server.access, quietly)).systemIdentifier);
    } finally {
      await other.end();
    }
  });

  test('what was committed outlives a kill -9', async () => {
    await server.run(["REPLACE INTO odd (id, s) VALUES (1, 'kept')"], 'shop');
    await server.kill();
    await expect(inspect(server.access, quietly)).rejects.toMatchObject({ type: 'ConnectionFailed' });
    await server.restart();
    expect(await server.run(['SELECT s FROM odd WHERE id = 1'], 'shop')).toEqual([{ s: 'kept' }]);
  });
});
