import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Found } from '../../src/engines/contract/read.ts';
import type { ShippedContent } from '../../src/engines/contract/ship.ts';
import { find } from '../../src/engines/mysql/find/find.ts';
import { logsOf } from './mysql-binlog-fixture.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

const LONG_AGO = '2020-01-01T00:00:00Z';
const FAR = '2099-01-01T00:00:00Z';

async function content(file: string, bytes?: Buffer): Promise<ShippedContent> {
  return {
    name: basename(file),
    sizeBytes: (await stat(file)).size,
    open: () => (bytes === undefined ? createReadStream(file) : Readable.from([bytes])),
  };
}

const ROWS = Array.from({ length: 1000 }, (_, index) => `(${index + 1},'v${index}',NULL)`).join(',');

describe.each(SERIES)('find in logs of %s', (series) => {
  const isMysql = series === '8.0';
  let server: MysqlServer;

  /** What these statements leave in the logs, one search for the table. */
  async function findIn(
    statements: readonly string[],
    change: Partial<Parameters<typeof find>[0]> = {},
  ): Promise<Found> {
    await server.query('FLUSH BINARY LOGS');
    const before = (await logsOf(server)).length - 1;
    await server.run(statements, 'shop');
    await server.query('FLUSH BINARY LOGS');
    const logs = await Promise.all((await logsOf(server)).slice(before, -1).map((file) => content(file)));
    const input = { table: 'shop.orders', logs, since: LONG_AGO, until: FAR, own: [], limit: 20, minRows: 1 };
    return find({ ...input, ...change }, quietly);
  }
  const seen = ({ candidates }: Found) =>
    candidates.map(({ deleted, updated, inserted, whole }) => [deleted, updated, inserted, whole]);
  const fresh = [
    'DROP TABLE IF EXISTS orders, other',
    'CREATE TABLE orders (id INT PRIMARY KEY, v VARCHAR(50), big LONGTEXT)',
    'CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(50), big LONGTEXT)',
    `INSERT INTO orders VALUES ${ROWS}`,
  ];

  beforeAll(async () => {
    server = await startMysql({ series });
    await server.query('CREATE DATABASE shop');
  });
  afterAll(() => server?.end());

  it('counts the rows of each transaction, without what was rolled back', async () => {
    await server.run(fresh, 'shop');
    const found = await findIn([
      'DELETE FROM orders WHERE id <= 500',
      'UPDATE orders SET v = v WHERE id <= 600',
      "UPDATE orders SET v = 'x' WHERE id <= 800",
      ...['BEGIN', 'DELETE FROM orders WHERE id > 900', 'ROLLBACK'],
      ...[
        'BEGIN',
        'DELETE FROM orders WHERE id IN (600, 601)',
        'SAVEPOINT s',
        'DELETE FROM orders WHERE id > 900',
      ],
      ...[
        'ROLLBACK TO s',
        "INSERT INTO orders VALUES (5000,'n',NULL)",
        "INSERT INTO other VALUES (1,'o',NULL)",
        'COMMIT',
      ],
      "INSERT INTO orders VALUES (5001,'n',NULL)",
      "REPLACE INTO orders VALUES (700,'r',NULL)",
      'DELETE FROM other',
    ]);
    expect(seen(found)).toEqual([
      [500, 0, 0, null],
      [0, 300, 0, null],
      [2, 0, 1, null],
      [0, 1, 0, null],
    ]);
    const [first] = found.candidates;
    expect(found.likeliest).toEqual(first);
    expect(first).toMatchObject({ xid: null, timeline: 1, target: { gtid: first?.gtid, exclusive: true } });
    expect(first?.lsn).toMatch(/^binlog\.\d+:\d+$/);
    expect(first?.at).toMatch(isMysql ? /:\d\d\.\d{6}Z$/ : /:\d\dZ$/);
    expect(Math.abs(Date.parse(first?.at ?? '') - Date.now())).toBeLessThan(60_000);
    expect(found.firstCommitAt).toBe(first?.at);
    expect(found.notices).toEqual([expect.stringContaining('ON DELETE CASCADE')]);
  });

  it('keeps to the span, to the limit and to the least number of rows', async () => {
    const statements = [
      ...fresh,
      'DELETE FROM orders WHERE id <= 10',
      'DELETE FROM orders WHERE id <= 40',
      'DELETE FROM orders WHERE id <= 42',
    ];
    const all = await findIn(statements);
    expect(seen(all).slice(-3)).toEqual([
      [10, 0, 0, null],
      [30, 0, 0, null],
      [2, 0, 0, null],
    ]);
    const some = await findIn(statements, { minRows: 11 });
    expect(seen(some).slice(-1)).toEqual([[30, 0, 0, null]]);
    expect(seen(await findIn(statements, { limit: 2 }))).toEqual([
      [0, 0, 0, 'dropped'],
      [30, 0, 0, null],
    ]);
    const none = await findIn(statements, { until: '2021-01-01T00:00:00Z' });
    expect(none.candidates).toEqual([]);
    expect(none.firstCommitAt).not.toBeNull();
    expect((await findIn([], {})).firstCommitAt).toBeNull();
    await expect(findIn(statements, { table: 'orders' })).rejects.toMatchObject({ type: 'InvalidInput' });
  });

  it('tells what became of the table as a whole', async () => {
    const partitioned = [
      'CREATE TABLE orders (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20), PARTITION c VALUES LESS THAN (30))',
      'INSERT INTO orders VALUES (1),(11),(21)',
    ];
    const away = await findIn([...fresh, 'RENAME TABLE orders TO `old,orders`', 'DROP TABLE `old,orders`']);
    expect(seen(away).at(-1)).toEqual([0, 0, 0, 'dropped']);
    expect(away.notices[0]).toMatch(/^transaction \S+ renamed shop\.orders to shop\.old,orders$/);
    const found = await findIn([
      ...fresh,
      'TRUNCATE orders',
      'ALTER TABLE orders ADD COLUMN w INT',
      'RENAME TABLE orders TO o1, other TO orders, o1 TO other',
      'DROP TABLE other',
      'DROP TABLE orders',
      ...partitioned,
      'ALTER TABLE orders DROP PARTITION a',
      'ALTER TABLE orders TRUNCATE PARTITION b, c',
      'ALTER TABLE orders TRUNCATE PARTITION ALL',
      'DROP DATABASE shop',
      'CREATE DATABASE shop',
    ]);
    expect(found.candidates.map(({ whole, partitions }) => [whole, partitions])).toEqual([
      ['dropped', null],
      ['truncated', null],
      ['rewritten', null],
      ['rewritten', null],
      ['dropped', null],
      ['dropped', { touched: null, all: null }],
      ['truncated', { touched: null, all: null }],
      ['truncated', null],
      ['dropped', null],
    ]);
    expect(found.likeliest).toEqual(found.candidates.at(-1));
    if (isMysql) return;
    expect(seen(await findIn([...fresh, 'CREATE OR REPLACE TABLE orders (id INT)']))).toContainEqual([
      0,
      0,
      0,
      'dropped',
    ]);
  });

  it('shows statements as candidates whose rows nobody knows', async () => {
    const found = await findIn([
      ...fresh,
      "SET SESSION binlog_format = 'STATEMENT'",
      'DELETE FROM orders WHERE id < 10',
      ...[
        'BEGIN',
        "UPDATE shop.orders o JOIN other p ON o.id = p.id SET o.v = 'x'",
        'DELETE FROM other',
        'COMMIT',
      ],
      'DELETE FROM other',
      "INSERT INTO orders VALUES (9999, 'x', NULL) ON DUPLICATE KEY UPDATE v = 'y'",
      'DELETE FROM orders',
      "SET SESSION binlog_format = 'ROW'",
      `INSERT INTO orders VALUES ${ROWS}`,
      'DELETE FROM orders LIMIT 7',
    ]);
    const own = found.candidates.filter(({ whole }) => whole !== 'dropped');
    expect(own.map(({ deleted, whole }) => [deleted, whole])).toEqual([
      [0, null],
      [0, null],
      [0, 'truncated'],
      [7, null],
    ]);
    expect(found.likeliest?.whole).not.toBeNull();
    const notice = found.notices.find((text) => text.includes('how many rows they changed is not known'));
    expect(own.map(({ gtid }) => notice?.includes(gtid as string))).toEqual([true, true, true, false]);
    expect(found.notices.join()).toContain('triggers and foreign keys');
    expect(found.notices.join()).toContain(
      '1 statement inserted rows into shop.orders, and may have changed others',
    );
  });

  it('looks into compressed transactions, and into large ones', async () => {
    const compressed = isMysql
      ? ['SET SESSION binlog_transaction_compression = ON']
      : ['SET GLOBAL log_bin_compress = ON', 'SET GLOBAL log_bin_compress_min_len = 10'];
    const found = await findIn([
      ...fresh,
      "UPDATE orders SET big = REPEAT('abcdefgh', 20000) WHERE id <= 40",
      ...compressed,
      "UPDATE orders SET big = REPEAT('ijklmnop', 20000) WHERE id <= 30",
      'DELETE FROM orders WHERE id > 10',
    ]);
    if (!isMysql) await server.query('SET GLOBAL log_bin_compress = OFF');
    expect(seen(found).slice(-3)).toEqual([
      [0, 40, 0, null],
      [0, 30, 0, null],
      [990, 0, 0, null],
    ]);
  });

  it('follows distributed transactions to their commit', async () => {
    const prepare = (id: string, where: string) => [
      `XA START '${id}'`,
      `DELETE FROM orders WHERE ${where}`,
      `XA END '${id}'`,
    ];
    const found = await findIn([
      ...fresh,
      ...[...prepare('a', 'id <= 5'), "XA PREPARE 'a'", "XA COMMIT 'a'"],
      ...[...prepare('b', 'id <= 7'), "XA PREPARE 'b'", "XA ROLLBACK 'b'"],
      ...[...prepare('c', 'id <= 9'), "XA COMMIT 'c' ONE PHASE"],
    ]);
    expect(seen(found).slice(-2)).toEqual([
      [5, 0, 0, null],
      [4, 0, 0, null],
    ]);
  });

  it('says what Holdfast did itself, and takes another one for the accident', async () => {
    const marker = 'holdfast_import_0123456789ab_01234567';
    const statements = [
      ...fresh,
      `CREATE TABLE ${marker} (id INT)`,
      ...['BEGIN', 'DELETE FROM orders WHERE id > 100', `INSERT INTO ${marker} VALUES (1)`, 'COMMIT'],
      'DELETE FROM orders WHERE id > 90',
      `DROP TABLE ${marker}`,
    ];
    const own = [{ transaction: `shop.${marker}`, by: 'undo/shop/1', from: LONG_AGO, to: FAR }];
    const { candidates } = await findIn(statements, { own });
    expect(candidates.slice(-2).map(({ by, deleted }) => [by, deleted])).toEqual([
      ['undo/shop/1', 900],
      [undefined, 10],
    ]);
  });

  it('refuses a log that is cut off or damaged, rather than to miss what is in it', async () => {
    await server.run([...fresh, 'FLUSH BINARY LOGS'], 'shop');
    const file = (await logsOf(server)).at(-2) as string;
    const bytes = await readFile(file);
    const input = { table: 'shop.orders', since: LONG_AGO, until: FAR, own: [], limit: 20, minRows: 1 };
    const cut = await content(file, bytes.subarray(0, bytes.length - 20));
    await expect(find({ ...input, logs: [cut] }, quietly)).rejects.toMatchObject({ type: 'BackupUnusable' });
    const flipped = Buffer.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    flipped.writeUInt8(flipped.readUInt8(middle) ^ 0xff, middle);
    await expect(find({ ...input, logs: [await content(file, flipped)] }, quietly)).rejects.toMatchObject({
      type: expect.stringMatching(/^(ChecksumMismatch|BackupUnusable)$/),
    });
    const stopped = { ...quietly, signal: AbortSignal.abort(new Error('stopped')) };
    await expect(find({ ...input, logs: [await content(file)] }, stopped)).rejects.toThrow('stopped');
  });

  it.skipIf(isMysql)('knows the table in any letter case where the server folds names', async () => {
    await server.restart({ 'lower-case-table-names': '1' });
    const found = await findIn([...fresh, 'TRUNCATE TABLE ORDERS']);
    expect(found.candidates.at(-1)).toMatchObject({ whole: 'truncated' });
    expect(found.notices.join()).toContain('lower_case_table_names');
    await server.restart({ 'lower-case-table-names': '0' });
    const other = await findIn([
      ...fresh,
      'CREATE TABLE Orders (id INT)',
      'INSERT INTO Orders VALUES (1)',
      'TRUNCATE TABLE Orders',
    ]);
    expect(other.candidates.map(({ whole }) => whole)).not.toContain('truncated');
  });

  it.runIf(isMysql)('targets positions where the server has no GTIDs', async () => {
    await server.restart({ 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' });
    const found = await findIn([...fresh, 'DELETE FROM orders WHERE id <= 10']);
    const last = found.candidates.at(-1);
    expect(last).toMatchObject({ deleted: 10, target: { lsn: last?.lsn, exclusive: true } });
    expect(last).not.toHaveProperty('gtid');
  });
});
