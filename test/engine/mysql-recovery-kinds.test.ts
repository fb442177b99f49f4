import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { flavourOf } from '../../src/engines/mysql/flavour.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type Base, type Recovery, recover, startRecovery, value } from './mysql-recovery-fixture.ts';
import { SERIES, type Settings } from './mysql-server.ts';

const ALL_ROWS =
  'SELECT COALESCE(CONCAT(COUNT(*), ":", SUM(CRC32(CONCAT_WS("|", id, note, at, other)))), 0) FROM shop.t';

describe.each(SERIES)('%s', (series) => {
  const isMysql = series === '8.0';

  /** Does things after a base, and compares what a recovery to the end comes to. */
  async function same(
    settings: Settings,
    work: (recovery: Recovery) => Promise<void>,
    look: (copy: ServerAccess, recovery: Recovery, base: Base) => Promise<void>,
  ): Promise<void> {
    const recovery = await startRecovery(series, settings);
    try {
      await recovery.sql(
        'CREATE DATABASE shop CHARACTER SET latin1',
        `CREATE TABLE shop.t (id int AUTO_INCREMENT PRIMARY KEY, note varchar(200) CHARACTER SET utf8mb4,
           at timestamp(6) NULL, other text CHARACTER SET utf8mb4) ENGINE=InnoDB`,
        "INSERT INTO shop.t (note) VALUES ('base')",
      );
      const base = await recovery.base();
      await work(recovery);
      const logs = await recovery.logs(base);
      const place = await recovery.provision('copy');
      const reached = await recover(recovery, place, base, { latest: true }, logs);
      expect(await value(reached.access, ALL_ROWS)).toBe(await value(recovery.production.access, ALL_ROWS));
      await look(reached.access, recovery, base);
    } finally {
      await recovery.end();
    }
  }

  test.each(['STATEMENT', 'MIXED'])('statements as text, in %s', async (format) => {
    await same(
      { 'binlog-format': format, 'secure-file-priv': isMysql ? '' : null },
      async ({ sql, production }) => {
        const file = join(production.directory, 'loaded.csv');
        await writeFile(file, 'from a file,2026-03-29 00:30:00\nanother,2026-10-25 00:30:00\n');
        await chmod(file, 0o644);
        // Only the default, and what a session has, is in the log.
        await sql('USE shop', "INSERT INTO t (note) VALUES ('plain'), (UUID_SHORT() > 0)");
        await knowBerlin(sql);
        await sql(
          'USE shop',
          "SET time_zone = 'Europe/Berlin'",
          "INSERT INTO t (note, at) VALUES ('summer', '2026-07-01 12:00:00'), ('winter', '2026-01-01 12:00:00')",
          "INSERT INTO t (note, at) VALUES ('now', NOW(6))",
          "SET time_zone = '-03:30'",
          "UPDATE t SET at = '2026-07-01 12:00:00' WHERE note = 'base'",
          'SET @answer = 42, @rand = RAND(7)',
          'INSERT INTO t (note, other) VALUES (@answer, @rand)',
          "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
          `INSERT INTO t (note) VALUES ('a\\b"c')`,
          "SET sql_mode = ''",
          'SET NAMES latin1',
          'INSERT INTO t (note) VALUES (_latin1 0xe9)',
        );
        await sql(
          'USE shop',
          `LOAD DATA INFILE '${file}' INTO TABLE t FIELDS TERMINATED BY ',' (note, at) SET other = 'loaded'`,
        );
        await sql(
          'USE shop',
          'CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 2',
          'INSERT INTO t (note) VALUES (twice(21))',
          'CREATE TRIGGER t_other BEFORE INSERT ON t FOR EACH ROW SET NEW.other = CONCAT(NEW.note, "!")',
          "INSERT INTO t (note) VALUES ('by trigger')",
        );
      },
      async (copy) => {
        expect(await value(copy, "SELECT COUNT(*) FROM shop.t WHERE other = 'loaded'")).toBe('2');
      },
    );
  });

  /** Production knows a time zone by its name, which its log does not say. */
  async function knowBerlin(sql: Recovery['sql']): Promise<void> {
    await sql(
      'SET sql_log_bin = 0',
      "INSERT INTO mysql.time_zone (Use_leap_seconds) VALUES ('N')",
      'SET @zone = LAST_INSERT_ID()',
      "INSERT INTO mysql.time_zone_name VALUES ('Europe/Berlin', @zone)",
      "INSERT INTO mysql.time_zone_transition_type VALUES (@zone, 0, 3600, 0, 'CET'), (@zone, 1, 7200, 1, 'CEST')",
      'INSERT INTO mysql.time_zone_transition VALUES (@zone, 0, 0), (@zone, 1774746000, 1), (@zone, 1792890000, 0)',
    );
  }

  test('definitions, accounts, what needs a library, and whoever takes the name of our account', async () => {
    await same(
      {},
      async ({ sql }) => {
        await sql(
          "CREATE USER app@'%' IDENTIFIED BY 'secret-1', other@localhost",
          "GRANT SELECT, INSERT ON shop.* TO app@'%'",
          'GRANT ALL ON *.* TO other@localhost WITH GRANT OPTION',
          "CREATE USER holdfast_restore@localhost IDENTIFIED BY 'of production'",
          "CREATE USER holdfast_reader@localhost IDENTIFIED BY 'of production'",
          'DROP USER holdfast_restore@localhost',
          'CREATE ROLE auditors',
          'GRANT SELECT ON shop.t TO auditors',
          'GRANT auditors TO other@localhost',
          'ALTER USER other@localhost ACCOUNT LOCK',
        );
        if (isMysql) return;
        await sql(
          "INSTALL SONAME 'auth_ed25519'",
          "CREATE USER ed@localhost IDENTIFIED VIA ed25519 USING PASSWORD('secret-2')",
          "INSERT INTO shop.t (note) VALUES ('behind it')",
        );
      },
      async (copy) => {
        expect(await value(copy, "SELECT COUNT(*) FROM mysql.user WHERE user = 'app'")).toBe('1');
        expect(await value(copy, 'SELECT CURRENT_USER()')).toBe('holdfast_restore@localhost');
        const reader = { ...copy, user: 'holdfast_reader' };
        expect(await value(reader, 'SELECT note FROM shop.t WHERE id = 1')).toBe('base');
        await expect(value(reader, "INSERT INTO shop.t (note) VALUES ('x')")).rejects.toThrow(
          /error 1290|refused|lacks/,
        );
      },
    );
  });

  test('tables that are made, changed, emptied, renamed and dropped; rows of every kind', async () => {
    await same(
      isMysql
        ? {
            'binlog-row-image': 'MINIMAL',
            'binlog-row-value-options': 'PARTIAL_JSON',
            'binlog-transaction-compression': 'ON',
          }
        : { 'binlog-row-image': 'MINIMAL', 'log-bin-compress': 'ON', 'log-bin-compress-min-len': '10' },
      async ({ sql }) => {
        await sql(
          'USE shop',
          'CREATE TABLE j (id int PRIMARY KEY, doc json, bits bit(9), b varbinary(20), d decimal(20,5), g int AS (id + 1) STORED)',
          `INSERT INTO j (id, doc, bits, b, d) VALUES (1, '{"a": {"b": [1, 2, 3]}, "c": "x"}', b'101', 0x00ff27, 1.5)`,
          `UPDATE j SET doc = JSON_SET(doc, '$.a.b[1]', 20, '$.c', 'yy') WHERE id = 1`,
          'CREATE TABLE nokey (a int, b varchar(10))',
          "INSERT INTO nokey VALUES (1, 'x'), (1, 'x'), (2, NULL)",
          'DELETE FROM nokey WHERE a = 1 LIMIT 1',
          'ALTER TABLE t ADD COLUMN more int DEFAULT 7, ADD KEY (note)',
          "INSERT INTO t (note) SELECT REPEAT('compressed ', 15) FROM information_schema.columns LIMIT 200",
          'CREATE TABLE gone AS SELECT 1 AS a',
          'RENAME TABLE gone TO renamed',
          'CREATE VIEW v AS SELECT note FROM t',
          'CREATE TABLE emptied (a int)',
          'INSERT INTO emptied VALUES (1), (2)',
          'TRUNCATE emptied',
          'CREATE DATABASE second',
          'CREATE TABLE second.x (a int)',
          'INSERT INTO second.x VALUES (1)',
          'DROP DATABASE second',
          'CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.emptied VALUES (3)',
          'ALTER DATABASE shop CHARACTER SET utf8mb4',
          'CREATE TEMPORARY TABLE tmp (a int)',
          'INSERT INTO tmp VALUES (1)',
          'XA START "one"',
          "INSERT INTO t (note) VALUES ('xa')",
          'XA END "one"',
          'XA PREPARE "one"',
          'XA COMMIT "one"',
        );
        await sql('DROP EVENT shop.tick');
      },
      async (copy, { production }) => {
        for (const query of [
          'SELECT CONCAT_WS("|", doc, HEX(bits), HEX(b), d, g) FROM shop.j',
          'SELECT GROUP_CONCAT(CONCAT_WS("|", a, b) ORDER BY a) FROM shop.nokey',
          'SELECT COUNT(*) FROM shop.emptied',
          'SELECT GROUP_CONCAT(table_name ORDER BY table_name) FROM information_schema.tables WHERE table_schema = "shop"',
          'SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = "shop"',
        ]) {
          expect(await value(copy, query)).toBe(await value(production.access, query));
        }
      },
    );
  });

  test('transactions of other servers, in domains and by sources of their own', async () => {
    await same(
      isMysql ? {} : { 'gtid-strict-mode': 'OFF' },
      async ({ sql, production }) => {
        expect(flavourOf(production.series)).toBe(isMysql ? 'mysql' : 'mariadb');
        await sql(
          'USE shop',
          ...(isMysql
            ? [
                // A gap before it.
                "SET gtid_next = '3e11fa47-71ca-11e1-9e33-c80aa9429562:77'",
                "INSERT INTO t (note) VALUES ('of another source')",
                "SET gtid_next = 'AUTOMATIC'",
              ]
            : [
                'SET gtid_domain_id = 7',
                "INSERT INTO t (note) VALUES ('of another domain')",
                'SET gtid_domain_id = 0, server_id = 4711',
                "INSERT INTO t (note) VALUES ('of another server')",
              ]),
          "INSERT INTO t (note) VALUES ('last')",
        );
      },
      async (copy, recovery) => {
        const name = isMysql ? 'gtid_executed' : 'gtid_slave_pos';
        const found = await value(copy, `SELECT @@GLOBAL.${name}`);
        expect(found.replaceAll(/\s/g, '').split(',').sort()).toEqual(
          (await recovery.gtids())?.split(',').sort(),
        );
      },
    );
  });
});
