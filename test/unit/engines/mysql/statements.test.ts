import { describe, expect, test } from 'vitest';
import {
  dividedTable,
  filledTable,
  isForAllSessions,
  isForbidden,
  isOfOneSession,
  isView,
  kindOf,
  leavesOpen,
} from '../../../../src/engines/mysql/dumped/kind.ts';
import { statements } from '../../../../src/engines/mysql/dumped/statements.ts';

const SCRIPT = `-- c1; '
/*!40101 SET NAMES utf8mb4 */;
/* a ; ' */
INSERT INTO \`a;b\` VALUES ('it''s; \\'x\\\\', "q;\\"", 'tail\\\\', '
-- Dumping data for table \`x\`
DELIMITER ;;
');
# hash ;'
DELIMITER ;;
/*!50003 CREATE TRIGGER t BEGIN SET a=1; -- in ; body
 SET b=';;'; END */;;
DELIMITER ;
select 1;
;
/*M!999999\\- enable */${' '}
select 5-3, 5--3;
  ;;
last`;

const FOUND = [
  '/*!40101 SET NAMES utf8mb4 */',
  "INSERT INTO `a;b` VALUES ('it''s; \\'x\\\\', \"q;\\\"\", 'tail\\\\', '\n-- Dumping data for table `x`\nDELIMITER ;;\n')",
  "/*!50003 CREATE TRIGGER t BEGIN SET a=1; -- in ; body\n SET b=';;'; END */",
  'select 1',
  '/*M!999999\\- enable */ \nselect 5-3, 5--3',
  'last',
];

async function found(bytes: Buffer, size: number): Promise<string[]> {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const list: string[] = [];
  for await (const statement of statements(pieces())) list.push(statement);
  return list;
}

describe('the statements of a dump', () => {
  test.each([1, 2, 3, 5, 17, 10_000])('in pieces of %i bytes', async (size) => {
    expect(await found(Buffer.from(SCRIPT, 'latin1'), size)).toEqual(FOUND);
  });

  test('bytes stay bytes, whatever their size', async () => {
    const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, index) => (index * 7) % 256));
    // No quote, backslash or NUL, as a dump escapes them.
    const row = Buffer.from(bytes.filter((byte) => ![0, 34, 39, 92].includes(byte)));
    const script = Buffer.concat([
      Buffer.from("INSERT INTO t VALUES ('"),
      row,
      Buffer.from("');\nSELECT 1;"),
    ]);
    const [insert, second] = await found(script, 64 * 1024);
    expect(second).toBe('SELECT 1');
    expect(Buffer.from(insert as string, 'latin1').equals(script.subarray(0, script.length - 11))).toBe(true);
  });
});

describe('what a statement is', () => {
  test('the table whose rows it brings', () => {
    const name = Buffer.from('Größte `1`').toString('latin1').replaceAll('`', '``');
    expect(filledTable(`INSERT INTO \`${name}\` VALUES (1)`)).toBe('Größte `1`');
    expect(filledTable('INSERT  IGNORE INTO `a` (`b`) VALUES (1)')).toBe('a');
    expect(filledTable('REPLACE INTO `a` VALUES (1)')).toBe('a');
    expect(filledTable('CREATE TABLE `a` (b int)')).toBe(null);
  });

  test('what two sessions may do side by side, and what both have to be told', () => {
    const made = (end: string) =>
      `CREATE TABLE \`a b\` (\n  \`a\` int COMMENT '\\n) ENGINE=InnoDB'\n) ${end}`;
    expect(dividedTable(made('ENGINE=InnoDB AUTO_INCREMENT=7'))).toBe('a b');
    expect(dividedTable(made('ENGINE=ARCHIVE'))).toBe(null);
    expect(dividedTable(made('ENGINE=InnoDB').replace('int', 'int, FULLTEXT KEY `k` (`x`)'))).toBe(null);
    const sandbox = '/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n--\n\n';
    expect(isForAllSessions(`${sandbox}/*!40101 SET @OLD=@@CHARACTER_SET_CLIENT */`)).toBe(true);
    expect(isForAllSessions('USE `shop`')).toBe(true);
    expect(isForAllSessions('CREATE TABLE `set` (a int)')).toBe(false);
    expect(isOfOneSession('LOCK TABLES `a` WRITE')).toBe(true);
    expect(isOfOneSession('/*!40000 ALTER TABLE `a` DISABLE KEYS */')).toBe(false);
    expect(leavesOpen('/*M!100200 SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, @@AUTOCOMMIT=0 */')).toBe(true);
    expect(leavesOpen("SET @a = 'autocommit'")).toBe(false);
  });

  test('what no restored server may take from a dump', () => {
    for (const statement of [
      "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'x:1'",
      '/*!50003 SET GLOBAL event_scheduler = ON */',
      'SET PERSIST read_only = 0',
      "CHANGE REPLICATION SOURCE TO SOURCE_HOST='db'",
      'START SLAVE',
      "INSTALL PLUGIN x SONAME 'x.so'",
      "UNINSTALL COMPONENT 'file://x'",
    ]) {
      expect(isForbidden(statement)).toBe(true);
    }
    for (const statement of [
      'SET NAMES utf8mb4',
      'SET @@SESSION.SQL_LOG_BIN= 0',
      'CREATE TABLE `install` (a int)',
    ]) {
      expect(isForbidden(statement)).toBe(false);
    }
  });

  test('its kind, without anything of what it holds', () => {
    const view =
      '/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */';
    expect(isView(view)).toBe(true);
    expect(isView('CREATE TABLE `a` (`view` int, `b` int comment)')).toBe(false);
    expect(kindOf(view)).toBe('CREATE VIEW');
    expect(kindOf("INSERT INTO `secret` VALUES ('row')")).toBe('INSERT INTO');
    expect(kindOf('CREATE TABLE `function` (a int)')).toBe('CREATE TABLE');
    expect(kindOf("GRANT ALL ON *.* TO `x`@`y` IDENTIFIED BY 'z'")).toBe('GRANT');
  });
});
