import { flavourOf } from '../../src/engines/mysql/flavour.ts';
import { quoteLiteral } from '../../src/engines/mysql/identifier.ts';
import { dumpPrograms } from '../../src/engines/mysql/programs.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { MysqlServer } from './mysql-server.ts';

/** A db whose name has to be quoted everywhere. */
export const ODD = 'odd.`db';
const ODD_QUOTED = '`odd.``db`';
/** What looks like the place at which a dump is split, of a db that comes later and of one that came before. */
const MARK = (db: string) => `\n--\n-- Current Database: \`${db}\`\n--\n`;

/** What dumps and fingerprints of tables have gone wrong on. The dbs: empty, legacy, odd.`db, shop. */
export function hardSchema(series: number): string[] {
  const own = flavourOf(series) === 'mysql' ? MYSQL : MARIADB;
  return [...COMMON, ...own];
}

const COMMON = [
  'CREATE DATABASE `empty`',
  'CREATE DATABASE legacy CHARACTER SET latin1 COLLATE latin1_german1_ci',
  `CREATE DATABASE ${ODD_QUOTED} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`,
  'CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci',
  `CREATE TABLE shop.customers (id INT UNSIGNED NOT NULL AUTO_INCREMENT, name VARCHAR(60) NOT NULL COMMENT 'with
     a break, a ''quote'' and \\\\', secret VARBINARY(20) INVISIBLE, born DATE, PRIMARY KEY (id), UNIQUE KEY named (name(20)))`,
  `INSERT INTO shop.customers (id, name, secret, born) VALUES (0, 'zero', 0x00ff5c27, '0000-00-00'),
     (7, 'Ünï 😀', NULL, '2020-02-30'), (4000000000, 'tab\\t nl\\n cr\\r nul\\0 bs\\\\ q\\'', '', '1000-01-01')`,
  `CREATE TABLE shop.orders (customer INT UNSIGNED NOT NULL, number SMALLINT NOT NULL, net DECIMAL(30,10), tax DECIMAL(30,10)
       AS (net * 0.19) STORED, gross DECIMAL(30,10) AS (net * 1.19) VIRTUAL, flags BIT(9), big BIT(64), f FLOAT, f2 FLOAT(10,3), d DOUBLE,
     at TIMESTAMP(6) NULL, local DATETIME(3), t TIME(2), y YEAR, kind ENUM('a','é','ö') DEFAULT 'a', tags SET('x','y','z') ,
     j JSON, place GEOMETRY, raw BINARY(4), blobbed MEDIUMBLOB, long_text LONGTEXT, self SMALLINT,
     PRIMARY KEY (customer, number), KEY back (number, customer), CONSTRAINT whose FOREIGN KEY (customer) REFERENCES customers (id)
       ON DELETE CASCADE ON UPDATE RESTRICT, CONSTRAINT same FOREIGN KEY (customer, self) REFERENCES orders (customer, number),
     CONSTRAINT positive CHECK (net >= 0 or net is null))`,
  `INSERT INTO shop.orders (customer, number, net, flags, big, f, f2, d, at, local, t, y, kind, tags, j, place, raw, blobbed,
       long_text, self) VALUES
     (7, 1, 12345678901234567890.0123456789, b'101010101', 18446744073709551615, 0.1234567, 1234.567, 0.1e0 + 0.2e0,
       '2024-03-31 01:30:00.123456', '2024-03-31 02:30:00.5', '-838:59:59', 1901, 'ö', 'x,y,z',
       '{"b": [1, 2.50, null, true, "\\\\u00e9 \\\\" "], "aa": {"x": 1e2}}', ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'),
       0x00010200, 0x0a0d00275c22, REPEAT('ab😀\\n', 400), 1),
     (7, 2, NULL, NULL, NULL, NULL, NULL, -0e0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
     (0, -1, 0, b'0', 0, 1e-30, -0.001, 1.797693134862315e308, '1970-01-01 00:00:01', '0000-00-00 00:00:00', '00:00:00', 0, 'a', '',
       '[]', ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), '', '', '', NULL)`,
  'CREATE TABLE shop.keyless (a INT, b VARCHAR(20) COLLATE utf8mb4_bin, c CHAR(8))',
  "INSERT INTO shop.keyless VALUES (1, 'x', 'y '), (1, 'x', 'y '), (NULL, NULL, NULL), (NULL, '', ''), (1, 'X', 'y'), (1, 'x ', 'y')",
  `CREATE TABLE shop.parted (id INT NOT NULL, at DATE NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at))
     (PARTITION old VALUES LESS THAN (2020), PARTITION rest VALUES LESS THAN MAXVALUE)`,
  "INSERT INTO shop.parted VALUES (1, '2019-01-01'), (2, '2024-01-01')",
  'CREATE TABLE shop.notes (id INT PRIMARY KEY, note TEXT)',
  `INSERT INTO shop.notes VALUES (1, ${quoteLiteral(`first${MARK('empty')}\nUSE x;\n`)}), (2, ${quoteLiteral(MARK('shop'))}), (3, "'); DROP TABLE notes; -- ")`,
  'CREATE TABLE shop.`ta.b``le` (`co.l``umn` INT PRIMARY KEY, `select` VARCHAR(5) DEFAULT "d\'", KEY `in``dex` (`select`))',
  "INSERT INTO shop.`ta.b``le` VALUES (1, 'x')",
  'CREATE TABLE shop.seen (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(100))',
  // Fires at an INSERT of a restore, where the trigger comes before the rows.
  "CREATE TRIGGER shop.`ta``seen` AFTER INSERT ON shop.notes FOR EACH ROW INSERT INTO shop.seen (what) VALUES ('a')",
  'CREATE TRIGGER shop.second BEFORE INSERT ON shop.notes FOR EACH ROW SET NEW.note = UPPER(NEW.note)',
  `CREATE PROCEDURE shop.marked(IN x INT) COMMENT 'it''s' SQL SECURITY INVOKER
   BEGIN /* ${MARK('shop')} */
     -- a comment with ; and 'quote
     SELECT ${quoteLiteral('plain')}, "${MARK('legacy')}"; IF x > 1 THEN SET @y = 1; END IF;
   END`,
  "CREATE FUNCTION shop.twice(x INT) RETURNS VARCHAR(20) CHARSET latin1 DETERMINISTIC RETURN CONCAT(x, ' ü ', x)",
  `CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' ON COMPLETION PRESERVE COMMENT 'e' DO BEGIN ${MARK('empty')} DELETE FROM shop.seen WHERE id < 0; END`,
  'CREATE TABLE legacy.texts (id INT PRIMARY KEY, l CHAR(10), g VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, s VARCHAR(20) CHARACTER SET sjis, t TINYTEXT CHARACTER SET ucs2)',
  "INSERT INTO legacy.texts VALUES (1, 'äÖß€', 'ärger 😀', 'テスト', 'ünï'), (2, 'AO', 'arger', '', NULL), (3, 'ao  ', 'a ', NULL, '')",
  `CREATE TABLE ${ODD_QUOTED}.\`dash-ed\` (id BIGINT PRIMARY KEY, v VARCHAR(10))`,
  `INSERT INTO ${ODD_QUOTED}.\`dash-ed\` VALUES (1, 'one'), (9223372036854775807, 'max')`,
  // Views of dbs that come later, of views, and of a definer who is not there.
  'CREATE VIEW legacy.across AS SELECT c.name, o.net FROM shop.customers c JOIN shop.orders o ON o.customer = c.id WHERE (o.net > 1 OR o.number IN (1, 2)) AND NOT (c.id = 3)',
  "CREATE DEFINER = 'nobody'@'nowhere' SQL SECURITY INVOKER VIEW shop.`a view` AS SELECT CONCAT('ü', name) AS `na.me` FROM legacy.across",
  `CREATE ALGORITHM = MERGE VIEW shop.later AS SELECT v FROM ${ODD_QUOTED}.\`dash-ed\` WHERE v <> 'x' WITH CASCADED CHECK OPTION`,
];

const MYSQL = [
  `CREATE TABLE shop.mysql_only (id INT PRIMARY KEY, at DATETIME DEFAULT (NOW() + INTERVAL 1 DAY), j JSON, p POINT NOT NULL SRID 4326, v VARCHAR(20) COLLATE utf8mb4_0900_as_cs,
     INDEX fn ((UPPER(v))), INDEX dn (v DESC, id) INVISIBLE, SPATIAL INDEX (p), INDEX mv ((CAST(j->'$.n' AS UNSIGNED ARRAY))))`,
  `INSERT INTO shop.mysql_only VALUES (1, '2024-01-01', JSON_OBJECT('n', JSON_ARRAY(1, 2), 'dec', CAST(1.10 AS DECIMAL(10,2)), 'day', CAST('2020-01-01' AS DATE),
     'bin', CAST('ab' AS BINARY), 'f', 1e300, 'big', 18446744073709551615), ST_GeomFromText('POINT(52.5 13.4)', 4326), 'Straße')`,
  'CREATE ROLE teller',
  'GRANT SELECT ON shop.* TO teller',
  "CREATE USER reader@'127.0.0.1' IDENTIFIED WITH mysql_native_password BY 'readers secret'",
  "GRANT INSERT (id, what) ON shop.seen TO reader@'127.0.0.1'",
  "GRANT EXECUTE ON PROCEDURE shop.marked TO reader@'127.0.0.1'",
  "GRANT teller TO reader@'127.0.0.1'",
  "ALTER USER reader@'127.0.0.1' DEFAULT ROLE teller",
];

const MARIADB = [
  'CREATE SEQUENCE shop.ticket START WITH 100 INCREMENT BY 10 CACHE 5',
  'SELECT NEXTVAL(shop.ticket)',
  'CREATE TABLE shop.mariadb_only (id INT PRIMARY KEY DEFAULT NEXTVAL(shop.ticket), u UUID, ip INET6, CONSTRAINT c CHECK (id > 0)) PAGE_COMPRESSED=0',
  "INSERT INTO shop.mariadb_only VALUES (1, '123e4567-e89b-12d3-a456-426614174000', '::ffff:1.2.3.4'), (2, NULL, NULL)",
  'CREATE TABLE shop.versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING',
  'INSERT INTO shop.versioned VALUES (1, 1), (2, 2)',
  'UPDATE shop.versioned SET v = 5 WHERE id = 1',
  'CREATE ROLE teller',
  'GRANT SELECT ON shop.* TO teller',
  "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'readers secret'",
  "GRANT INSERT (id, what) ON shop.seen TO reader@'127.0.0.1'",
  "GRANT EXECUTE ON PROCEDURE shop.marked TO reader@'127.0.0.1'",
  "GRANT teller TO reader@'127.0.0.1'",
  "SET DEFAULT ROLE teller FOR reader@'127.0.0.1'",
];

/** A user over TCP with these rights, who proves who it is in a way that the programs here have. */
export async function dumpUser(
  server: MysqlServer,
  name: string,
  rights: string,
  database = 'shop',
): Promise<ServerAccess> {
  const mysql = flavourOf(server.series) === 'mysql';
  const programs = await dumpPrograms(server.series);
  const plugin = mysql && programs.flavour === 'mariadb' ? 'WITH mysql_native_password ' : '';
  const password = `a "pass#word' of \\${name}`;
  const user = `${quoteLiteral(name)}@'127.0.0.1'`;
  await server.run([
    `CREATE USER ${user} IDENTIFIED ${plugin}BY "a ""pass#word' of \\\\${name}"`,
    `GRANT ${rights} ON *.* TO ${user}`,
  ]);
  return { ...server.access, host: '127.0.0.1', user: name, password, database };
}
