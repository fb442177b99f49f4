import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEvents } from '../../src/engines/mysql/binlog/read-events.ts';
import { summarizeLog } from '../../src/engines/mysql/binlog/summarize-log.ts';
import { all, eventsOf, inPieces, logOf, rowsOf, startShop, transactionsOf } from './mysql-binlog-fixture.ts';
import { type MysqlServer, SERIES } from './mysql-server.ts';

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

describe.each(SERIES)('the binary log of %s', (series) => {
  const isMysql = series === '8.0';
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startShop(series);
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
});
