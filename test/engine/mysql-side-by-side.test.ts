import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openScriptSession, type ScriptSession } from '../../src/engines/mysql/dumped/script-session.ts';
import { runSideBySide } from '../../src/engines/mysql/dumped/side-by-side.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

const MADE = 'CREATE TABLE `rows` (\n  `id` int PRIMARY KEY,\n  `a` varchar(20)\n) ENGINE=InnoDB';
const PARTS = 40;

/** The rows of a part, `part * 100` and on. */
const insert = (part: number) =>
  `INSERT INTO \`rows\` VALUES ${Array.from({ length: 100 }, (_, n) => `(${part * 100 + n},'${part}')`).join(',')}`;
const PARTS_OF_IT = Array.from({ length: PARTS }, (_, part) => insert(part));

describe.each(SERIES)('statements of a dump in two sessions at %s', (series) => {
  let server: MysqlServer;
  let sessions: ScriptSession[] = [];

  beforeAll(async () => {
    server = await startMysql({ series });
    await server.query('CREATE DATABASE shop');
    sessions = [
      await openScriptSession(server.access, quietly),
      await openScriptSession(server.access, quietly),
    ];
  });
  afterAll(async () => {
    for (const session of sessions) await session.close();
    await server?.end();
  });

  const never = async (statement: string, errno: number) => {
    throw new Error(`${statement.slice(0, 20)} ${errno}`);
  };
  const load = (statements: string[], onRefusal = never) =>
    runSideBySide(sessions, ['USE `shop`', 'DROP TABLE IF EXISTS `rows`', ...statements], onRefusal);
  const count = async () => {
    const [row] = await server.query<{ n: string }>('SELECT COUNT(*) AS n FROM shop.rows');
    return Number(row?.n);
  };

  test('all rows are there before the next statement, and settings are those of both', async () => {
    await load([
      "SET sql_mode = 'ANSI_QUOTES', @kept = 'x'",
      MADE,
      ...PARTS_OF_IT,
      'CREATE TABLE counted AS SELECT COUNT(*) AS n FROM `rows`',
    ]);
    expect(await server.query('SELECT n FROM shop.counted')).toEqual([{ n: String(PARTS * 100) }]);
    await server.query('DROP TABLE shop.counted');
    for (const session of sessions) {
      expect(await session.rows('SELECT @@sql_mode AS mode, @kept AS kept')).toMatchObject([{ kept: 'x' }]);
    }
  });

  test('a refusal in either ends it', async () => {
    for (const at of [10, 11]) {
      const statements = PARTS_OF_IT.toSpliced(at, 0, 'INSERT INTO `rows` VALUES (1)');
      await expect(load([MADE, ...statements])).rejects.toThrow('INSERT INTO `rows` V 1136');
    }
  });

  test('one of two that wait for each other is run again', async () => {
    const other = await server.connect('shop');
    const refused = new Set<number>();
    const watched = sessions.map((session) => ({
      ...session,
      async refusal(statement: string) {
        const errno = await session.refusal(statement);
        if (errno !== null) refused.add(errno);
        return errno;
      },
    }));
    async function* script() {
      yield* ['USE `shop`', 'DROP TABLE IF EXISTS `rows`', MADE, insert(2)];
      // Whoever has changed less gives way: not this one.
      await other.query('CREATE TABLE heavy (a int)');
      await other.query('START TRANSACTION');
      await other.query(`INSERT INTO heavy VALUES ${Array.from({ length: 5000 }, () => '(1)').join(',')}`);
      await other.query("INSERT INTO `rows` VALUES (50, 'other')");
      yield insert(0);
      const waiting = () =>
        server.query("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'");
      await expect.poll(waiting).toHaveLength(1);
      await other.query('SELECT * FROM `rows` WHERE id = 10 FOR UPDATE');
      await other.query('ROLLBACK');
      yield insert(1);
    }
    await runSideBySide(watched, script(), never);
    await other.close();
    expect([...refused]).toEqual([1213]);
    expect(await count()).toBe(300);
  });

  test('what locks a table, or commits later, is left to one session', async () => {
    await load([MADE, 'LOCK TABLES `rows` WRITE', ...PARTS_OF_IT, 'UNLOCK TABLES']);
    expect(await count()).toBe(PARTS * 100);
    await load([MADE, 'set autocommit=0', ...PARTS_OF_IT, 'commit', 'SET autocommit = 1']);
    expect(await count()).toBe(PARTS * 100);
  });
});
