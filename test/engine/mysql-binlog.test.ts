import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locate } from '../../src/engines/mysql/binlog/locate.ts';
import { readEvents } from '../../src/engines/mysql/binlog/read-events.ts';
import { summarizeLog } from '../../src/engines/mysql/binlog/summarize-log.ts';
import { transactions } from '../../src/engines/mysql/binlog/transactions.ts';
import { equalGtids, isSubset, parseGtids } from '../../src/model/gtid.ts';
import { all, eventsOf, inPieces, logOf, logsOf, rowsOf, transactionsOf } from './mysql-binlog-fixture.ts';
import { type MysqlServer, SERIES, startMysql } from './mysql-server.ts';

const TYPES = `id INT PRIMARY KEY AUTO_INCREMENT,
  a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d BIGINT, e FLOAT, f DOUBLE,
  g DECIMAL(30,10), g2 DECIMAL(5,5), g3 DECIMAL(65,0), h BIT(1), h2 BIT(9), h3 BIT(64), i DATE,
  j TIME, j3 TIME(3), j6 TIME(6), k DATETIME, k1 DATETIME(1), k5 DATETIME(5), l TIMESTAMP NULL, l4 TIMESTAMP(4) NULL,
  m YEAR, n CHAR(1), n2 CHAR(255), n3 CHAR(255) CHARACTER SET utf8mb4, o VARCHAR(10), o2 VARCHAR(300),
  o3 VARCHAR(5000) CHARACTER SET utf8mb4, p BINARY(16), p2 VARBINARY(20), q TINYTEXT, r TEXT, s MEDIUMTEXT, u LONGTEXT,
  v TINYBLOB, w BLOB, x MEDIUMBLOB, y LONGBLOB, z ENUM('a','b'), aa SET('a','b','c','d','e','f','g','h','i'), bb JSON,
  cc GEOMETRY, dd POINT, ee INT AS (a + 1) VIRTUAL, ff INT AS (a + 2) STORED`;
const COLUMNS =
  'a,b,c,d,e,f,g,g2,g3,h,h2,h3,i,j,j3,j6,k,k1,k5,l,l4,m,n,n2,n3,o,o2,o3,p,p2,q,r,s,u,v,w,x,y,z,aa,bb,cc,dd';
const VALUES = `1,2,3,4,5.5,6.6,7.7,0.12345,123456789012345678901234567890,b'1',b'101010101',b'1111',
  '2026-01-01','01:02:03','01:02:03.123','01:02:03.123456',NOW(),NOW(1),NOW(5),NOW(),NOW(4),2024,'x','y','ü','z',
  REPEAT('o',300),REPEAT('ü',3000),'p','pp',REPEAT('q',255),REPEAT('r',1000),REPEAT('s',100000),REPEAT('u',70000),
  'v',REPEAT('w',65535),'x','y','a','a,c,i','{"a":[1,2,3]}',ST_GeomFromText('LINESTRING(0 0,1 1,2 2)'),
  ST_GeomFromText('POINT(1 2)')`;

const NOW = 'SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED) AS now';

describe.each(SERIES)('the binary log of %s', (series) => {
  const isMysql = series === '8.0';
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ series, settings: { 'secure-file-priv': '' } });
    await server.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v TEXT)']);
  });
  afterAll(() => server?.end());

  it.each(['FULL', 'MINIMAL', 'NOBLOB'])('counts rows of every type of column, images %s', async (image) => {
    const file = await logOf(
      server,
      [
        `SET SESSION binlog_row_image = '${image}'`,
        `CREATE OR REPLACE TABLE types (${TYPES})`.replace('OR REPLACE ', isMysql ? '' : 'OR REPLACE '),
        `INSERT INTO types (${COLUMNS}) VALUES (${VALUES})`,
        'INSERT INTO types (id) VALUES (NULL),(NULL),(NULL)',
        `INSERT INTO types (${COLUMNS}) SELECT ${COLUMNS} FROM types`,
        'UPDATE types SET a = 7 WHERE id < 4',
        'UPDATE types SET m = 2025, r = NULL',
        'DELETE FROM types WHERE id <= 3',
        'DROP TABLE types',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(rowsOf(found, 'shop.types')).toEqual([8, 11, 3]);
    expect(found.flatMap(({ ddl }) => ddl.map(({ kind, tables }) => [kind, ...tables]))).toEqual([
      ['create', 'shop.types'],
      ['drop', 'shop.types'],
    ]);
    expect(
      found.every(({ isComplete, gtid, isExact }) => isComplete && gtid !== null && isExact === isMysql),
    ).toBe(true);
  });

  it('names the columns where the server logs them', async () => {
    const file = await logOf(
      server,
      [
        'SET GLOBAL binlog_row_metadata = FULL',
        `CREATE TABLE named (\`a b\` INT, c ENUM('x','y'), d SET('p','q'), e VARCHAR(5) CHARACTER SET latin1, f POINT)`,
        `INSERT INTO named VALUES (1,'x','p','e',NULL)`,
        'SET GLOBAL binlog_row_metadata = MINIMAL',
        'DROP TABLE named',
      ],
      'shop',
    );
    const map = (await eventsOf(file)).find((event) => event.type === 'table-map');
    expect(map?.type === 'table-map' && map.columns.map(({ name }) => name)).toEqual([
      'a b',
      'c',
      'd',
      'e',
      'f',
    ]);
    expect(rowsOf(await transactionsOf(file), 'shop.named')).toEqual([1, 0, 0]);
  });

  it('counts rows of transactions of any size, and single rows of megabytes', async () => {
    const file = await logOf(
      server,
      [
        'CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)',
        'INSERT INTO big (v) VALUES (REPEAT("x", 200))',
        ...Array.from({ length: 14 }, () => 'INSERT INTO big (v) SELECT v FROM big'),
        'START TRANSACTION',
        'INSERT INTO big (v) VALUES (REPEAT("y", 5000000)), ("small"), (REPEAT("z", 3000000))',
        'UPDATE big SET v = REPEAT("w", 1500000) ORDER BY id LIMIT 2',
        'DELETE FROM big WHERE id > 2',
        'COMMIT',
        'DROP TABLE big',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(rowsOf(found, 'shop.big')).toEqual([2 ** 14 + 3, 2, 2 ** 14 + 1]);
    // In whatever pieces the file comes.
    const bytes = await readFile(file);
    for (const size of [1000, 1024 * 1024 + 1, bytes.length]) {
      const events = await all(readEvents(inPieces(bytes, size)));
      expect(events.reduce((sum, e) => sum + (e.type === 'rows' ? (e.rows ?? NaN) : 0), 0)).toBe(
        2 ** 14 + 3 + 2 + 2 ** 14 + 1,
      );
    }
  });

  it('reads compressed transactions', async () => {
    const on = isMysql
      ? ['SET SESSION binlog_transaction_compression = ON']
      : ['SET GLOBAL log_bin_compress = ON', 'SET GLOBAL log_bin_compress_min_len = 20'];
    const off = isMysql ? [] : ['SET GLOBAL log_bin_compress = OFF'];
    const file = await logOf(
      server,
      [
        ...on,
        'CREATE TABLE packed (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)',
        'INSERT INTO packed (v) VALUES (REPEAT("x", 500))',
        ...Array.from({ length: 6 }, () => 'INSERT INTO packed (v) SELECT v FROM packed'),
        'UPDATE packed SET v = "changed" ORDER BY id LIMIT 10',
        // Larger than what is decompressed at once.
        'INSERT INTO packed (v) VALUES (REPEAT("y", 9000000)), (REPEAT(MD5(1), 200000))',
        'DELETE FROM packed ORDER BY id LIMIT 7',
        'DROP TABLE packed',
        ...off,
      ],
      'shop',
    );
    const events = await eventsOf(file);
    if (isMysql) {
      expect(events.filter(({ type }) => type === 'payload').length).toBe(10);
      expect(events.some(({ isNested }) => isNested)).toBe(true);
    }
    const found = await transactionsOf(file);
    expect(rowsOf(found, 'shop.packed')).toEqual([66, 10, 7]);
    expect(found.map(({ ddl }) => ddl[0]?.kind).filter((kind) => kind !== undefined)).toEqual([
      'create',
      'drop',
    ]);
    // Transactions follow one another without a gap.
    for (const [i, { end }] of found.slice(0, -1).entries()) expect(found[i + 1]?.start).toBe(end);
  });

  it('says of changes that are logged as statements which tables they change', async () => {
    const file = await logOf(
      server,
      [
        'SET SESSION binlog_format = STATEMENT',
        'INSERT INTO t VALUES (1, "a"), (2, "b")',
        'UPDATE t SET v = "c"',
        'DELETE FROM t WHERE id = 1',
        'BEGIN',
        'DELETE FROM t',
        'SAVEPOINT s',
        'INSERT INTO t VALUES (3, "ü")',
        'COMMIT',
        'SET SESSION binlog_format = MIXED',
        'INSERT INTO t VALUES (4, UUID())',
        'DELETE FROM t',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    const said = found.map(({ dataStatements }) =>
      dataStatements.map(({ verb, tables, isOfAllRows }) => [verb, ...tables, isOfAllRows]),
    );
    expect(said).toEqual([
      [['insert', 'shop.t', false]],
      [['update', 'shop.t', true]],
      [['delete', 'shop.t', false]],
      [
        ['delete', 'shop.t', true],
        ['insert', 'shop.t', false],
      ],
      [],
      [['delete', 'shop.t', true]],
    ]);
    expect(rowsOf(found, 'shop.t')).toEqual([1, 0, 0]);
    expect(await summarizeLog(createReadStream(file))).toMatchObject({
      transactions: 6,
      textTransactions: 5,
    });
  });

  it('counts rows of statements over several tables, of triggers, and of tables without transactions', async () => {
    const file = await logOf(
      server,
      [
        'CREATE TABLE m1 (i INT PRIMARY KEY, v INT)',
        'CREATE TABLE m2 (i INT PRIMARY KEY, v INT, FOREIGN KEY (i) REFERENCES m1 (i) ON DELETE CASCADE)',
        'CREATE TABLE m3 (i INT, v VARCHAR(1000))',
        'CREATE TABLE m4 (i INT, v VARCHAR(1000)) ENGINE = MyISAM',
        'CREATE TRIGGER m1_change AFTER UPDATE ON m1 FOR EACH ROW INSERT INTO m3 VALUES (NEW.i, REPEAT("x", 1000))',
        `INSERT INTO m1 VALUES ${Array.from({ length: 40 }, (_, i) => `(${i}, 0)`).join()}`,
        'INSERT INTO m2 SELECT * FROM m1',
        'UPDATE m1 JOIN m2 USING (i) SET m1.v = 1, m2.v = 2 WHERE i < 30',
        'INSERT INTO m4 VALUES (1, "stays"), (2, "too")',
        // With GTIDs MySQL refuses to mix the two.
        ...(isMysql
          ? []
          : ['BEGIN', 'INSERT INTO m4 VALUES (3, "stays")', 'INSERT INTO m1 VALUES (100, 1)', 'ROLLBACK']),
        'DELETE FROM m1 WHERE i < 5',
        'DROP TABLE m2, m1, m3, m4',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(rowsOf(found, 'shop.m1')).toEqual([40, 30, 5]);
    // What a foreign key's cascade deletes is in no log.
    expect(rowsOf(found, 'shop.m2')).toEqual([40, 30, 0]);
    expect(rowsOf(found, 'shop.m3')).toEqual([30, 0, 0]);
    expect(rowsOf(found, 'shop.m4')).toEqual([isMysql ? 2 : 3, 0, 0]);
    for (const [i, { end }] of found.slice(0, -1).entries()) expect(found[i + 1]?.start).toBe(end);
  });

  it('reads LOAD DATA that is logged as a statement', async () => {
    const input = join(server.directory, 'input.txt');
    await writeFile(input, '501\tx\n502\ty\n', { mode: 0o644 });
    const file = await logOf(
      server,
      ['SET SESSION binlog_format = STATEMENT', `LOAD DATA INFILE '${input}' INTO TABLE t`],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(
      found.map(({ dataStatements }) => dataStatements.map(({ verb, tables }) => [verb, ...tables])),
    ).toEqual([[['load', 'shop.t']]]);
  });

  it('follows distributed transactions through their steps', async () => {
    const file = await logOf(
      server,
      [
        'XA START "g1","b1",7',
        'INSERT INTO t VALUES (101, "x"), (102, "y")',
        'XA END "g1","b1",7',
        'XA PREPARE "g1","b1",7',
        'XA COMMIT "g1","b1",7',
        'XA START "g2"',
        'DELETE FROM t WHERE id = 101',
        'XA END "g2"',
        'XA PREPARE "g2"',
        'XA ROLLBACK "g2"',
        'XA START "g3"',
        'DELETE FROM t WHERE id IN (101, 102)',
        'XA END "g3"',
        'XA COMMIT "g3" ONE PHASE',
      ],
      'shop',
    );
    const found = await transactionsOf(file);
    expect(
      found.map(({ xa, tables }) => [xa?.step, xa?.xid, tables[0]?.inserted, tables[0]?.deleted]),
    ).toEqual([
      ['prepare', `X'6731',X'6231',7`, 2, 0],
      ['commit', `X'6731',X'6231',7`, undefined, undefined],
      ['prepare', `X'6732',X'',1`, 0, 1],
      ['rollback', `X'6732',X'',1`, undefined, undefined],
      isMysql ? ['one-phase', `X'6733',X'',1`, 0, 2] : [undefined, undefined, 0, 2],
    ]);
    expect(found.every(({ isComplete }) => isComplete)).toBe(true);
  });

  it('names what is created, altered and removed', async () => {
    const file = await logOf(
      server,
      [
        'CREATE TABLE a1 (i INT) /* a comment */',
        'CREATE TABLE `a``2` LIKE a1',
        'CREATE TABLE a3 AS SELECT 1 AS x UNION SELECT 2',
        'ALTER TABLE a1 ADD k INT, ADD KEY (k)',
        'ALTER TABLE a1 DROP COLUMN k, RENAME TO a4',
        'CREATE INDEX n ON a4 (i)',
        'RENAME TABLE a4 TO a1, `a``2` TO shop.a5, a5 TO `a``2`',
        'TRUNCATE TABLE a1',
        'TRUNCATE a3',
        'CREATE TABLE parts (i INT) PARTITION BY RANGE (i) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))',
        'ALTER TABLE parts TRUNCATE PARTITION p0',
        'ALTER TABLE parts DROP PARTITION p1',
        'CREATE VIEW v AS SELECT 1',
        'DROP VIEW v',
        'DROP TABLE IF EXISTS a1, `shop` . `a``2` , a3, parts, missing',
        'CREATE DATABASE gone',
        'CREATE TABLE gone.t (i INT)',
        'DROP DATABASE gone',
      ],
      'shop',
    );
    const found = (await transactionsOf(file)).flatMap(({ ddl }) => ddl);
    const said = found.map(({ kind, tables, database, removes }) =>
      [kind, ...tables, database, ...removes].filter((part) => part !== null).join(' '),
    );
    expect(said).toEqual([
      'create shop.a1',
      'create shop.a`2',
      'create shop.a3',
      'alter shop.a1',
      'alter shop.a1 shop.a4 columns',
      'alter shop.a4',
      'rename shop.a4 shop.a1 shop.a`2 shop.a5 shop.a5 shop.a`2',
      'truncate shop.a1',
      'truncate shop.a3',
      'create shop.parts',
      'alter shop.parts rows of partitions',
      'alter shop.parts partitions',
      'definition',
      'definition',
      'drop shop.a1 shop.a`2 shop.a3 shop.parts shop.missing',
      'create-database gone',
      'create gone.t',
      'drop-database gone',
    ]);
  });

  it('sums a closed log up, and finds where a replay has to stop in it', async () => {
    await server.query('FLUSH BINARY LOGS');
    const statements = [
      'INSERT INTO t VALUES (201, "x")',
      'UPDATE t SET v = "y"',
      'DELETE FROM t WHERE id = 201',
    ];
    const file = await logOf(server, statements, 'shop');
    const bytes = await readFile(file);
    const next = (await logsOf(server)).at(-1) as string;
    const found = await transactionsOf(file);
    const summary = await summarizeLog(createReadStream(file));
    expect(summary).toMatchObject({
      ...{ flavour: isMysql ? 'mysql' : 'mariadb', serverId: server.port, hasChecksums: true },
      ...{ closed: 'rotate', isInUse: false, nextName: basename(next), startedAt: null },
      ...{ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
      ...{ transactions: 3, textTransactions: 0, unfinished: null, incidents: 0 },
      ...{ firstAt: found[0]?.committedAtText, lastAt: found[2]?.committedAtText },
    });
    const flavour = summary.flavour;
    expect((await summarizeLog(createReadStream(next))).previousGtids).toBe(summary.gtids);
    const [before, after] = [parseGtids(summary.previousGtids, flavour), parseGtids(summary.gtids, flavour)];
    expect([isSubset(before, after), equalGtids(before, after)]).toEqual([true, false]);

    const files = (await logsOf(server)).map((name) => ({
      name: basename(name),
      open: () => createReadStream(name),
    }));
    const [first, second, third] = found as [(typeof found)[0], (typeof found)[0], (typeof found)[0]];
    const at = { file: basename(file) };
    expect(
      await locate(files, { kind: 'gtid', gtid: second.gtid as string, isInclusive: false }),
    ).toMatchObject({
      ...{ isReached: true, stop: { ...at, start: second.start }, last: { ...at, end: first.end } },
    });
    expect(
      await locate(files, { kind: 'gtid', gtid: second.gtid as string, isInclusive: true }),
    ).toMatchObject({
      ...{ isReached: true, stop: { ...at, start: third.start }, last: { ...at, end: second.end } },
    });
    const position = (value: number) => ({ kind: 'position' as const, file: at.file, position: value });
    expect(await locate(files, position(second.start))).toMatchObject({
      ...{ isReached: true, inside: null, stop: { start: second.start }, last: { end: first.end } },
    });
    expect(await locate(files, position(second.start + 1))).toMatchObject({
      ...{ isReached: true, inside: { start: second.start, end: second.end }, last: { end: first.end } },
    });
    expect(await locate(files, position(third.end))).toMatchObject({
      isReached: true,
      inside: null,
      stop: null,
    });
    expect(await locate(files, position(bytes.length + 1))).toMatchObject({ isReached: false });
    if (!isMysql) return;
    for (const isInclusive of [true, false]) {
      const located = await locate(files, { kind: 'time', at: second.committedAt, isInclusive });
      expect(located.stop?.gtid).toBe((isInclusive ? third : second).gtid);
      expect(located.last?.gtid).toBe((isInclusive ? second : first).gtid);
    }
  });

  it('takes no cut or changed file for a whole one', async () => {
    const file = await logOf(
      server,
      ['INSERT INTO t VALUES (301, "x")', 'BEGIN', 'UPDATE t SET v = "y"', 'DELETE FROM t', 'COMMIT'],
      'shop',
    );
    const bytes = await readFile(file);
    const whole = await eventsOf(file);
    const boundaries = new Set(whole.map(({ start }) => start));
    const complete = await transactionsOf(file);
    for (let length = 0; length < bytes.length; length += 1) {
      const summary = summarizeLog(inPieces(bytes.subarray(0, length)), { name: 'cut' });
      if (!boundaries.has(length) || length <= 4) {
        await expect(summary).rejects.toMatchObject({ type: 'BackupUnusable' });
        continue;
      }
      const kept = complete.filter(({ end }) => end <= length).length;
      const isWithin = complete.some(({ start, end }) => start < length && length < end);
      expect(await summary).toMatchObject({ closed: 'open', transactions: kept });
      expect((await summary).unfinished === null).toBe(!isWithin);
    }
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x10;
      await expect(all(transactions(readEvents(inPieces(changed)))), `byte ${at}`).rejects.toMatchObject({
        type: expect.stringMatching(/^(BackupUnusable|ChecksumMismatch|NotSupported)$/),
      });
    }
  });

  it('takes no cut or changed file for a whole one within its large events', async () => {
    const [on, off] = isMysql
      ? [['SET SESSION binlog_transaction_compression = ON'], []]
      : [['SET GLOBAL log_bin_compress = ON'], ['SET GLOBAL log_bin_compress = OFF']];
    const compressible = 'REPEAT(SHA2(UUID(), 512), 40)';
    const file = await logOf(
      server,
      [
        'CREATE TABLE large (v LONGTEXT)',
        'INSERT INTO large VALUES (REPEAT("x", 3000000))',
        ...on,
        `INSERT INTO large VALUES (CONCAT(${Array.from({ length: 500 }, () => compressible).join()}))`,
        'INSERT INTO large SELECT v FROM large',
        'SET SESSION binlog_format = STATEMENT',
        `INSERT INTO large VALUES ("${'a statement '.repeat(100_000)}")`,
        'DROP TABLE large',
        ...off,
      ],
      'shop',
    );
    const bytes = await readFile(file);
    const summary = await summarizeLog(inPieces(bytes, 10_000));
    expect(summary).toMatchObject({ closed: 'rotate', transactions: 6, textTransactions: 1 });
    for (let i = 0; i < 60; i += 1) {
      const at = Math.floor((bytes.length * (i + Math.random())) / 60);
      const cut = summarizeLog(inPieces(bytes.subarray(0, at), 10_000), { name: 'cut' });
      await expect(cut, `cut at ${at}`).rejects.toMatchObject({
        ...{
          type: 'BackupUnusable',
          message: expect.stringMatching(/^cut ends at \d+, in the middle of the event/),
        },
      });
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x55;
      await expect(summarizeLog(inPieces(changed, 10_000)), `byte ${at}`).rejects.toMatchObject({
        type: expect.stringMatching(/^(BackupUnusable|ChecksumMismatch)$/),
      });
    }
    const reported = await all(readEvents(inPieces(bytes.subarray(0, 3_000_000), 999), { cut: 'report' }));
    expect(reported.at(-1)).toMatchObject({ type: 'cut', end: 3_000_000 });
  });

  it('reads logs without checksums, and what a stopped and a killed server leave', async () => {
    await server.restart({ 'binlog-checksum': 'NONE' });
    await server.query('INSERT INTO shop.t VALUES (401, "x")');
    const stopped = (await logsOf(server)).at(-1) as string;
    await server.stop();
    expect(await summarizeLog(createReadStream(stopped))).toMatchObject({
      ...{ closed: 'stop', isInUse: false, hasChecksums: false, transactions: 1, nextName: null },
      startedAt: expect.any(String),
    });
    await server.restart({ 'binlog-checksum': 'CRC32' });
    await server.query('INSERT INTO shop.t VALUES (402, "x")');
    const killed = (await logsOf(server)).at(-1) as string;
    await server.kill();
    const open = await summarizeLog(createReadStream(killed));
    expect(open).toMatchObject({ closed: 'open', isInUse: true, transactions: 1, unfinished: null });
    await server.restart();
    const next = (await logsOf(server)).at(-1) as string;
    expect((await summarizeLog(createReadStream(next))).previousGtids).toBe(open.gtids);
  });
});

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
