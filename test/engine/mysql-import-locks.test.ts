import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput, UndoStore } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import type { Connection } from '../../src/engines/mysql/connection.ts';
import { refusalOf } from '../../src/engines/mysql/error.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import type { Run } from '../../src/model/progress.ts';
import { quietly, SERIES, type SeriesName, type Settings } from './mysql-server.ts';
import { memoryUndo, type SidesServer, startSides } from './mysql-sides-fixture.ts';

const SHOP = [
  'CREATE TABLE numbers (n int PRIMARY KEY)',
  `INSERT INTO numbers SELECT a.n + 10 * b.n + 100 * c.n + 1 FROM ${['a', 'b', 'c']
    .map(
      (name) =>
        `(${Array.from({ length: 10 }, (_, n) => `SELECT ${n} AS n`).join(' UNION ALL ')}) AS ${name}`,
    )
    .join(', ')}`,
  'CREATE TABLE t (id int PRIMARY KEY, n int, u int UNIQUE)',
  'CREATE TABLE c (id int PRIMARY KEY, t int NOT NULL, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)',
  'INSERT INTO t SELECT n * 2, n, n FROM numbers',
  'INSERT INTO c SELECT n, n * 2 FROM numbers WHERE n <= 100',
];

/** What is done while the import holds its locks, and has changed nothing yet. */
function meanwhile(work: () => Promise<void>): UndoStore {
  const undo = memoryUndo();
  let done = false;
  const put: UndoStore['sink']['put'] = async (name, content, options) => {
    if (!done) await work();
    done = true;
    return undo.sink.put(name, content, options);
  };
  return { ...undo, sink: { put } };
}

describe.each(SERIES)('locks of an import on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  const ours = () =>
    server.production.query(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_name LIKE 'holdfast%'
       UNION SELECT CONCAT('session ', id) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root' AND info LIKE '%holdfast%'`,
    );

  async function quick(db: string): Promise<Connection> {
    const session = await server.production.connect(db);
    await session.query('SET SESSION innodb_lock_wait_timeout = 1');
    return session;
  }
  const errorOf = (work: Promise<unknown>) =>
    work.then(
      () => 0,
      (error: unknown) => refusalOf(error),
    );

  test('rows that somebody holds: it waits, and changes nothing when the time is over', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM t WHERE id > 1000', 'UPDATE t SET n = 0 WHERE id = 500');
    const plan = await sides.plan(['t'], { conflict: 'restore-changed' });
    const other = await server.production.connect(sides.db);
    await other.query('START TRANSACTION');
    await other.query('UPDATE t SET n = 1 WHERE id = 500');
    await expect(importRows({ ...plan, lockTimeoutMs: 700 }, quietly)).rejects.toMatchObject({
      type: 'LockNotAvailable',
    });
    expect(await ours()).toEqual([]);
    const waiting = importRows({ ...plan, lockTimeoutMs: 20_000 }, quietly);
    await sleep(300);
    await other.query('COMMIT');
    expect((await waiting).tables).toMatchObject([{ inserted: 500, updated: 1 }]);
    await other.close();
  });

  test('the rows and gaps of the change are held, and nothing else', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM t WHERE id BETWEEN 1500 AND 1502', 'UPDATE t SET n = 0 WHERE id = 900');
    const plan = await sides.plan(['t'], { conflict: 'restore-changed' });
    const other = await quick(sides.db);
    const seen: (number | null)[] = [];
    const undo = meanwhile(async () => {
      seen.push(await errorOf(other.query('INSERT INTO t VALUES (1502, 7, 7777)')));
      seen.push(await errorOf(other.query('UPDATE t SET n = 9 WHERE id = 900')));
      seen.push(await errorOf(other.query('UPDATE t SET n = 9 WHERE id = 100')));
      seen.push(await errorOf(other.query('INSERT INTO t VALUES (101, 1, 8888)')));
      seen.push(await errorOf(other.query('SELECT COUNT(*) FROM t')));
    });
    await importRows({ ...plan, undo }, quietly);
    expect(seen).toEqual([1205, 1205, 0, 0, 0]);
    await other.close();
  });

  test('under replace nobody writes, nor refers to a row that goes', async () => {
    const sides = await server.make(...SHOP, 'CREATE TABLE k (a int)', 'INSERT INTO k VALUES (1), (1)');
    await sides.live('INSERT INTO t VALUES (9000, 1, 9000)', 'DELETE FROM k LIMIT 1');
    const other = await quick(sides.db);
    const seen: (number | null)[] = [];
    const plan = await sides.plan(['t', 'k'], { conflict: 'replace' });
    const undo = meanwhile(async () => {
      seen.push(await errorOf(other.query('INSERT INTO t VALUES (9999, 7, 7777)')));
      seen.push(await errorOf(other.query('INSERT INTO t VALUES (-1, 7, 7777)')));
      seen.push(await errorOf(other.query('UPDATE t SET n = 9 WHERE id = 100')));
      seen.push(await errorOf(other.query('INSERT INTO c VALUES (5000, 9000)')));
      seen.push(await errorOf(other.query('INSERT INTO k VALUES (2)')));
      seen.push(await errorOf(other.query('SELECT COUNT(*) FROM t')));
    });
    const result = await importRows({ ...plan, undo }, quietly);
    expect(seen).toEqual([1205, 1205, 1205, 1205, 1205, 0]);
    expect(result.tables).toMatchObject([{ inserted: 1 }, { deleted: 1 }]);
    await other.close();
  });

  test('parents of rows that come are held', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM c WHERE id > 50');
    const other = await quick(sides.db);
    const seen: (number | null)[] = [];
    const plan = await sides.plan(['c']);
    const run: Run = { ...quietly, progress: () => {} };
    const journal = {
      read: plan.journal.read,
      write: async (record: Parameters<ImportInput['journal']['write']>[0]) => {
        seen.push(await errorOf(other.query('DELETE FROM t WHERE id = 200')));
        seen.push(await errorOf(other.query('DELETE FROM t WHERE id = 300')));
        await plan.journal.write(record);
      },
    };
    await importRows({ ...plan, journal }, run);
    expect(seen).toEqual([1205, 0]);
    await other.close();
  });

  test('two imports into one database exclude each other', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM c');
    const plan = await sides.plan(['c']);
    let second: unknown;
    const undo = meanwhile(async () => {
      second = await importRows({ ...plan, lockTimeoutMs: 500 }, quietly).catch((error: unknown) => error);
    });
    await importRows({ ...plan, undo }, quietly);
    expect(second).toMatchObject({
      type: 'LockNotAvailable',
      message: expect.stringContaining('another import'),
    });
  });

  test('writers beside it are never ended as part of a deadlock', async () => {
    const sides = await server.make(...SHOP);
    const stop = new AbortController();
    const errors: (number | null)[] = [];
    const writer = async () => {
      const session = await server.production.connect(sides.db);
      while (!stop.signal.aborted) {
        const [one, two] = [Math.random(), Math.random()].map((random) => 2 + 2 * Math.floor(random * 1000));
        try {
          await session.query('START TRANSACTION');
          await session.query(`UPDATE t SET n = n + 1 WHERE id = ${Math.min(one as number, two as number)}`);
          await session.query(`UPDATE t SET n = n + 1 WHERE id = ${Math.max(one as number, two as number)}`);
          await session.query('COMMIT');
        } catch (error) {
          errors.push(refusalOf(error));
        }
        await sleep(5);
      }
      await session.close();
    };
    const writers = [writer(), writer(), writer()];
    try {
      for (let round = 0; round < 4; round += 1) {
        await sides.live('DELETE FROM c WHERE id % 3 = 0', 'DELETE FROM t WHERE id > 1900');
        const plan = await sides.plan(['t', 'c'], {
          conflict: round % 2 === 0 ? 'replace' : 'insert-missing',
          drift: 5_000,
        });
        const { tables } = await importRows({ ...plan, lockTimeoutMs: 30_000 }, quietly);
        expect(tables).toMatchObject([{ inserted: 33 }, { inserted: 50 }]);
      }
    } finally {
      stop.abort();
      await Promise.all(writers);
    }
    expect(errors).toEqual([]);
  });

  const PHASES = ['comparing', 'staging', 'waiting', 'looking', 'keeping', 'changing', 'committing'];
  test.each(PHASES)('cancelled while %s: nothing is changed, nothing left, no session', async (phase) => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM t WHERE id > 1000', 'UPDATE t SET n = 0 WHERE id = 500');
    const stopped = new AbortController();
    const run: Run = {
      signal: stopped.signal,
      progress: (progress) => {
        if (progress.phase.startsWith(phase)) stopped.abort(new Error('stopped'));
      },
    };
    if (phase === 'comparing') await expect(compare(sides.input(['t']), run)).rejects.toThrow('stopped');
    else {
      const plan = await sides.plan(['t'], { conflict: 'restore-changed' });
      await expect(importRows(plan, run)).rejects.toThrow('stopped');
      expect(await sides.live('SELECT COUNT(*) AS n FROM t')).toEqual([{ n: '500' }]);
      expect(await ours()).toEqual([]);
      expect((await importRows(plan, quietly)).tables).toMatchObject([{ inserted: 500, updated: 1 }]);
    }
    const sessions = await server.production.query(
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE command NOT IN ('Daemon', 'Binlog Dump') AND user = 'root'",
    );
    expect(sessions).toEqual([{ n: '1' }]);
  });
});

/** How a server may log: what of an import is in the log is the same. */
const LOGGED: [SeriesName, Settings][] = [
  ['8.0', { 'binlog-format': 'STATEMENT', 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }],
  ['8.0', { 'binlog-format': 'MIXED' }],
  ['mariadb-10.11', { 'binlog-format': 'STATEMENT' }],
  ['mariadb-10.11', { 'binlog-format': 'MIXED' }],
];
test.each(LOGGED)(
  'the log of %s with %j has the rows of the change, and nothing that was staged',
  async (series, settings) => {
    const server = await startSides(series, settings);
    try {
      const sides = await server.make(...SHOP);
      await sides.live(
        'DELETE FROM t WHERE id > 1900',
        'UPDATE t SET n = 0 WHERE id = 500',
        'INSERT INTO t VALUES (1, 1, 9999)',
      );
      const plan = await sides.plan(['t'], { conflict: 'replace' });
      await server.production.query('FLUSH BINARY LOGS');
      await importRows(plan, quietly);
      const logs = await server.production.query<{ Log_name: string }>('SHOW BINARY LOGS');
      const events = await server.production.query<{ Event_type: string; Info: string }>(
        `SHOW BINLOG EVENTS IN '${logs.at(-1)?.Log_name}'`,
      );
      const text = events
        .flatMap(({ Event_type: type, Info }) => (/^Annotate/.test(type) ? [] : Info))
        .join('\n');
      expect(text).not.toMatch(/holdfast_(?:stage|moving|lost)/);
      expect(text).not.toMatch(/TEMPORARY/);
      const rows = events
        .map(({ Event_type: type }) => type.replace(/_v\d$/, ''))
        .filter((type) => /_rows$/i.test(type) && !/^Annotate/.test(type));
      expect([...new Set(rows)].sort()).toEqual(['Delete_rows', 'Update_rows', 'Write_rows']);
      expect(text.match(/CREATE TABLE `shop_1`\.`holdfast_import_copy_/g)).toHaveLength(1);
      expect(text.match(/DROP TABLE IF EXISTS (?:`shop_1`\.)?`holdfast_import_copy_/g)).toHaveLength(1);
    } finally {
      await server.end();
    }
  },
);
