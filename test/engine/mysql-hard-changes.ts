import type { SeriesName } from './mysql-server.ts';

/** A table that is hard to bring back, and what becomes of it in production. */
export interface Hard {
  what: string;
  table: string;
  make: string[];
  /** what production does to the rows */
  harm: string[];
  /** what every row is in bytes, to compare both sides by */
  content: string;
  /** inserts, updates, deletes of `replace` */
  replace: [number, number, number];
  only?: SeriesName;
}

const LATIN = '_latin1 0xE4F6FC80FF';
export const HARD: Hard[] = [
  {
    what: 'every type, with the values that are easily lost',
    table: 'types',
    make: [
      'SET sql_mode = ""',
      `CREATE TABLE types (id bigint unsigned PRIMARY KEY, f float, d double, de decimal(65,30), b bit(64), y year,
         dt datetime(6), dz date, ts timestamp(3) NULL, t time(6), c char(5), vb varbinary(30), bl longblob, l varchar(50) CHARACTER SET latin1,
         tx text CHARACTER SET latin1, u varchar(50) CHARACTER SET utf16, e enum('a','b','ä') , s set('x','y','z'), g geometry, j json,
         em varchar(20) CHARACTER SET utf8mb4)`,
      `INSERT INTO types VALUES (18446744073709551615, 1.17549e-38, -0e0, -12345678901234567890123456789012345.123456789012345678901234567890,
         b'1111111111111111111111111111111111111111111111111111111111111111', 0, '0000-00-00 00:00:00', '2020-00-31', '2001-02-03 04:05:06.789', '-838:59:59.000001', 'a  ',
         0x0061005c27220a0d1a, REPEAT(0x00ff, 40000), ${LATIN}, ${LATIN}, 'x\\ny\\\\', 'nonsense', 'x,z', ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326), '{"b": [1, 2.5, null, "ü\\\\n"], "a": 1e10}', '🦆''"\`')`,
      `INSERT INTO types (id, f, d, s) VALUES (0, 0.1, 1.7976931348623157e308, ''), (1, 16777217, 0.1, NULL), (2, 3.4e38, 5e-324, 'z')`,
    ],
    harm: [
      'SET sql_mode = "NO_AUTO_VALUE_ON_ZERO"',
      'DELETE FROM types WHERE id > 2',
      'UPDATE types SET f = 0.2, tx = "" WHERE id = 0',
      'INSERT INTO types (id) VALUES (77)',
    ],
    content: `SELECT id, CAST(f AS DOUBLE) AS f, d, de, b + 0 AS b, y, dt, dz, ts, t, HEX(c) AS c, HEX(vb) AS vb, MD5(bl) AS bl, HEX(l) AS l, HEX(tx) AS tx,
      HEX(u) AS u, e + 0 AS e, s, HEX(g) AS g, j, HEX(em) AS em FROM types ORDER BY id`,
    replace: [1, 1, 1],
  },
  {
    what: 'a composite key of case-insensitive and padded texts, dates and numbers',
    table: 'composite',
    make: [
      `CREATE TABLE composite (a varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, b varchar(10) CHARACTER SET latin1 COLLATE latin1_german1_ci,
         c char(4) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, d date, n decimal(5,2), v text, PRIMARY KEY (a, b, c, d, n))`,
      `INSERT INTO composite VALUES ('a', 'ä', 'x', '2020-01-01', 1.10, 'one'), ('b', 'B', 'x ', '2020-01-01', 1.10, 'two'),
         ('Straße', ${LATIN}, 'É', '1000-01-01', -0.01, NULL), ('', '', '', '2020-01-01', 0, '')`,
    ],
    harm: [
      "UPDATE composite SET a = 'A', b = 'Ä' WHERE a = 'a'",
      "UPDATE composite SET v = 'TWO' WHERE a = 'B'",
      "DELETE FROM composite WHERE a = 'STRASSE' OR v IS NULL",
      "INSERT INTO composite VALUES ('c', 'c', 'c', '2020-01-01', 1, 'new')",
    ],
    content: 'SELECT HEX(a) AS a, HEX(b) AS b, HEX(c) AS c, d, n, v FROM composite ORDER BY 1, 2, 3',
    replace: [1, 2, 1],
  },
  {
    what: 'generated, invisible and defaulted columns, and a unique key instead of a primary one',
    table: 'odd',
    make: [
      `CREATE TABLE odd (k varchar(10) NOT NULL UNIQUE, n int, double_n int GENERATED ALWAYS AS (n * 2) VIRTUAL, sum_n int GENERATED ALWAYS AS (n + 1) STORED UNIQUE,
         hidden int INVISIBLE, at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, x varchar(20) DEFAULT 'x')`,
      "INSERT INTO odd (k, n, hidden, at) VALUES ('a', 1, 10, '2001-01-01'), ('b', 2, 20, '2002-02-02'), ('c', 3, 30, '2003-03-03'), ('d', NULL, NULL, '2004-04-04')",
    ],
    harm: [
      'UPDATE odd SET n = 100, hidden = 0 WHERE k = "a"',
      "DELETE FROM odd WHERE k IN ('b', 'd')",
      "INSERT INTO odd (k, n) VALUES ('z', 2)",
    ],
    content: 'SELECT k, n, double_n, sum_n, hidden, at, x FROM odd ORDER BY k',
    replace: [2, 1, 1],
  },
  {
    what: 'names with backquotes, dots, quotes and spaces, and words of SQL',
    table: '"we`ird.db"',
    make: [
      'CREATE TABLE `we``ird.db` (`or``der` int, `select` varchar(10), `a.b` int, `?` int, PRIMARY KEY (`or``der`, `select`), UNIQUE KEY `x``y` (`a.b`))',
      "INSERT INTO `we``ird.db` VALUES (1, 'a', 1, 1), (2, 'b', 2, 2), (3, 'it''s', 3, 3)",
    ],
    harm: [
      'DELETE FROM `we``ird.db` WHERE `or``der` = 3',
      'UPDATE `we``ird.db` SET `?` = 0 WHERE `select` = "a"',
    ],
    content: 'SELECT * FROM `we``ird.db` ORDER BY 1',
    replace: [1, 1, 0],
  },
  {
    what: 'partitions, and a key of a bit and an enum',
    table: 'parts',
    make: [
      "CREATE TABLE parts (b bit(3), e enum('x','y'), n int, v int, PRIMARY KEY (b, e, n)) PARTITION BY RANGE (n) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
      "INSERT INTO parts VALUES (b'101', 'x', 1, 1), (b'101', 'y', 1, 1), (b'0', 'x', 99, 2)",
    ],
    harm: ["DELETE FROM parts WHERE e = 'y'", 'UPDATE parts SET v = 3 WHERE n = 99'],
    content: 'SELECT b + 0 AS b, e, n, v FROM parts ORDER BY 1, 2, 3',
    replace: [1, 1, 0],
  },
  {
    what: 'a tree that refers to itself',
    table: 'tree',
    make: [
      'CREATE TABLE tree (id int PRIMARY KEY, parent int, name varchar(10), FOREIGN KEY (parent) REFERENCES tree (id) ON DELETE CASCADE)',
      "INSERT INTO tree VALUES (9, NULL, 'root'), (5, 9, 'a'), (7, 5, 'b'), (1, 7, 'c')",
    ],
    harm: [
      'DELETE FROM tree WHERE id = 5',
      "INSERT INTO tree VALUES (20, 9, 'n'), (10, 20, 'm'), (30, 10, 'o')",
      "UPDATE tree SET name = 'r' WHERE id = 9",
    ],
    content: 'SELECT * FROM tree ORDER BY id',
    replace: [3, 1, 3],
  },
  {
    what: "MariaDB's own types",
    table: 'maria',
    only: 'mariadb-10.11',
    make: [
      'CREATE TABLE maria (id uuid PRIMARY KEY, a inet6, b inet4, j json, c text COMPRESSED)',
      "INSERT INTO maria VALUES ('123e4567-e89b-12d3-a456-426655440000', '::1', '10.0.0.1', '{\"a\" :  1}', REPEAT('x', 1000)), ('00000000-0000-1000-8000-000000000000', 'fe80::1', NULL, '[]', '')",
    ],
    harm: ["DELETE FROM maria WHERE a = '::1'", "UPDATE maria SET b = '1.2.3.4'"],
    content: 'SELECT * FROM maria ORDER BY id',
    replace: [1, 1, 0],
  },
];
