import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locate } from '../../src/engines/mysql/binlog/locate.ts';
import { summarizeLog } from '../../src/engines/mysql/binlog/summarize-log.ts';
import { parseGtids } from '../../src/model/gtid.ts';
import { eventsOf, logOf, logsOf, rowsOf, transactionsOf } from './mysql-binlog-fixture.ts';
import { type MysqlServer, startMysql } from './mysql-server.ts';

const NOW = 'SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED) AS now';

describe('what only MySQL logs', () => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({
      series: '8.0',
      settings: { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' },
    });
    await server.query('CREATE DATABASE shop');
  });
  afterAll(() => server?.end());

  it('has the times of commits without GTIDs too', async () => {
    const [{ now: before } = { now: 0n }] = await server.query<{ now: bigint }>(NOW);
    const file = await logOf(
      server,
      ['CREATE TABLE t (i INT)', 'INSERT INTO t VALUES (1)', 'DELETE FROM t'],
      'shop',
    );
    const [{ now: after } = { now: 0n }] = await server.query<{ now: bigint }>(NOW);
    const found = await transactionsOf(file);
    expect(found.map(({ gtid, isExact }) => [gtid, isExact])).toEqual([
      [null, true],
      [null, true],
      [null, true],
    ]);
    for (const { committedAt } of found) {
      expect(committedAt >= BigInt(before) && committedAt <= BigInt(after)).toBe(true);
    }
    expect(await summarizeLog(createReadStream(file))).toMatchObject({ previousGtids: '', gtids: '' });
    const located = await locate([{ name: 'one', open: () => createReadStream(file) }], {
      ...{ kind: 'time', at: found[1]?.committedAt as bigint, isInclusive: false },
    });
    expect([located.last?.start, located.stop?.start]).toEqual([found[0]?.start, found[1]?.start]);
  });

  it('counts rows whose JSON is logged as changes, beside indexes over arrays', async () => {
    const columns = Array.from({ length: 9 }, (_, i) => `j${i} JSON`).join();
    const file = await logOf(
      server,
      [
        `CREATE TABLE docs (i INT PRIMARY KEY, ${columns}, v VARCHAR(300), INDEX many ((CAST(j0->'$.a' AS UNSIGNED ARRAY))),
           INDEX words ((CAST(j1->'$.w' AS CHAR(20) ARRAY))))`,
        `INSERT INTO docs (i, j0, j1, j8) VALUES (1, '{"a":[1,2,3],"b":"${'x'.repeat(200)}"}', '{"w":["p","q"]}', '{"c":1}'),
           (2, '{"a":[4],"b":"${'y'.repeat(200)}"}', NULL, NULL), (3, NULL, NULL, NULL)`,
        "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
        "UPDATE docs SET j0 = JSON_SET(j0, '$.b', 'z'), j8 = JSON_SET(j8, '$.c', 2)",
        "UPDATE docs SET v = 'w'",
        'SET SESSION binlog_row_image = MINIMAL',
        "UPDATE docs SET j0 = JSON_REMOVE(j0, '$.b') WHERE i < 3",
        "UPDATE docs SET v = 'x'",
        'DELETE FROM docs',
      ],
      'shop',
    );
    expect(rowsOf(await transactionsOf(file), 'shop.docs')).toEqual([3, 10, 3]);
  });

  it('has CREATE TABLE … SELECT as one transaction with its rows, and partitions', async () => {
    await server.restart({ 'gtid-mode': 'ON', 'enforce-gtid-consistency': 'ON' });
    const file = await logOf(
      server,
      [
        'CREATE TABLE made AS SELECT 1 AS x UNION SELECT 2',
        'CREATE TABLE parted (i INT) PARTITION BY HASH (i) PARTITIONS 4',
        'INSERT INTO parted VALUES (1),(2),(3),(4),(5)',
        'UPDATE parted SET i = i + 1',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(found[0]).toMatchObject({
      ddl: [{ kind: 'create', tables: ['shop.made'] }],
      tables: [{ inserted: 2 }],
    });
    expect(rowsOf(found, 'shop.parted')).toEqual([5, 5, 0]);
  });
});

describe('what only MariaDB logs', () => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ series: 'mariadb-10.11' });
    await server.query('CREATE DATABASE shop');
  });
  afterAll(() => server?.end());

  it('counts rows of its own types, and of tables with a history', async () => {
    const file = await logOf(
      server,
      [
        `CREATE TABLE own (i INT, a INET6, a4 INET4, u UUID, vc VARCHAR(500) COMPRESSED, tc TEXT COMPRESSED,
           lc LONGBLOB COMPRESSED, v VARCHAR(100) INVISIBLE DEFAULT 'w')`,
        `INSERT INTO own VALUES (1, '::1', '1.2.3.4', UUID(), REPEAT('a', 400), REPEAT('b', 4000), REPEAT('c', 80000)),
           (2, NULL, NULL, NULL, NULL, NULL, NULL)`,
        'CREATE TABLE past (i INT) WITH SYSTEM VERSIONING',
        'INSERT INTO past VALUES (1), (2)',
        'UPDATE past SET i = 3',
        'CREATE SEQUENCE s',
        'SELECT NEXTVAL(s)',
        'CREATE OR REPLACE TABLE own (i INT)',
        'SET STATEMENT max_statement_time = 9 FOR DROP TABLE past',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(rowsOf(found, 'shop.own')).toEqual([2, 0, 0]);
    // The rows of before are kept as rows of their own.
    expect(rowsOf(found, 'shop.past')).toEqual([4, 2, 0]);
    const ddl = found.flatMap((one) =>
      one.ddl.map(({ kind, tables, isReplacing }) => [kind, ...tables, isReplacing]),
    );
    expect(ddl).toEqual([
      ['create', 'shop.own', false],
      ['create', 'shop.past', false],
      ['definition', false],
      ['create', 'shop.own', true],
      ['drop', 'shop.past', false],
    ]);
  });

  it('has an ALTER in two steps once', async () => {
    const file = await logOf(
      server,
      [
        'SET SESSION binlog_alter_two_phase = ON',
        'CREATE TABLE two (i INT)',
        'ALTER TABLE two ADD j INT',
        'INSERT INTO two VALUES (1, 2)',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(found.map(({ ddl }) => ddl.map(({ kind }) => kind))).toEqual([['create'], [], ['alter'], []]);
  });

  it('writes into several domains', async () => {
    await server.query('CREATE TABLE shop.d (i INT)');
    const file = await logOf(
      server,
      [
        'INSERT INTO d VALUES (1)',
        'SET SESSION gtid_domain_id = 7, server_id = 99',
        'INSERT INTO d VALUES (1)',
        'INSERT INTO d VALUES (1)',
        'SET SESSION server_id = 98',
        'INSERT INTO d VALUES (1)',
      ],
      'shop',
    );
    const [row] = await server.query<{ pos: string; state: string }>(
      'SELECT @@gtid_binlog_pos AS pos, @@gtid_binlog_state AS state',
    );
    const summary = await summarizeLog(createReadStream(file));
    expect(parseGtids(summary.gtids, 'mariadb')).toEqual(parseGtids(row?.pos as string, 'mariadb'));
    const next = (await logsOf(server)).at(-1) as string;
    const list = (await eventsOf(next)).find((event) => event.type === 'previous-gtids');
    expect(list).toMatchObject({ gtids: summary.gtids });
    expect(list?.type === 'previous-gtids' && list.state.split(',').sort()).toEqual(
      row?.state.split(',').sort(),
    );
  });

  it('refuses what the server has encrypted', async () => {
    const keys = join(server.directory, 'keys');
    await writeFile(keys, `1;${'ab'.repeat(32)}\n`, { mode: 0o644 });
    await server.restart({
      ...{
        'plugin-load-add': 'file_key_management',
        'file-key-management-filename': keys,
        'encrypt-binlog': 'ON',
      },
    });
    const file = (await logsOf(server)).at(-1) as string;
    await expect(summarizeLog(createReadStream(file), { name: 'binlog.1' })).rejects.toMatchObject({
      ...{ type: 'NotSupported', message: 'binlog.1 is encrypted by the server (encrypt_binlog)' },
      hint: expect.stringMatching(/FLUSH BINARY LOGS/),
    });
  });
});
