import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput, UndoData } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { verifyImport } from '../../src/engines/mysql/import/verify.ts';
import { quietly, SERIES } from './mysql-server.ts';
import {
  type memoryJournal,
  type memoryUndo,
  type Sides,
  type SidesServer,
  startSides,
} from './mysql-sides-fixture.ts';

const SHOP = [
  `CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, email varchar(50) UNIQUE, balance decimal(10,2),
     shout varchar(60) GENERATED ALWAYS AS (upper(email)) STORED)`,
  `CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, customer int NOT NULL, note text,
     FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
  'CREATE TABLE numbers (n int PRIMARY KEY)',
  `INSERT INTO numbers SELECT a.n + 10 * b.n + 100 * c.n + 1 FROM ${[0, 1, 2]
    .map(
      (at) =>
        `(${Array.from({ length: 10 }, (_, n) => `SELECT ${n} AS n`).join(' UNION ALL ')}) AS ${'abc'[at]}`,
    )
    .join(', ')}`,
  "INSERT INTO customers (id, email, balance) SELECT n, CONCAT('c', n), n FROM numbers WHERE n <= 50",
  "INSERT INTO orders (id, customer, note) SELECT n, 1 + n % 50, CONCAT('order ', n) FROM numbers WHERE n <= 500",
];
const TABLES = ['customers', 'orders'];

function undoOf(plan: ImportInput): UndoData {
  return (plan.journal as ReturnType<typeof memoryJournal>).records.at(-1)?.undo as UndoData;
}

function kept(plan: ImportInput, table: number, what: 'inserted' | 'replaced'): (string | null)[][] {
  const objects = undoOf(plan).tables[table]?.[what] ?? [];
  return objects.flatMap(({ key }) => (plan.undo as ReturnType<typeof memoryUndo>).lines(key));
}

describe.each(SERIES)('import on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  const contentOf = async (query: Sides['live'], tables = TABLES) => {
    const found = [];
    for (const table of tables) found.push(await query(`SELECT * FROM ${table} ORDER BY 1`));
    return found;
  };
  const leftBehind = () =>
    server.production.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_name LIKE 'holdfast%' UNION SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'holdfast%'",
    );

  const expectVerified = async (plan: ImportInput) =>
    expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);

  describe('replace', () => {
    test('makes the tables the restored copy: rows come, change and go', async () => {
      const sides = await server.make(...SHOP);
      await sides.live(
        'DELETE FROM orders WHERE id % 7 = 0',
        'DELETE FROM customers WHERE id = 3',
        'UPDATE customers SET balance = balance + 1 WHERE id % 5 = 0',
        'UPDATE orders SET note = NULL, customer = 1 WHERE id % 11 = 0',
        "INSERT INTO customers (email) VALUES ('new')",
        'INSERT INTO orders (customer) SELECT 51 FROM numbers WHERE n <= 9',
        'INSERT INTO orders (customer) SELECT 1 FROM numbers WHERE n <= 4',
      );
      const plan = await sides.plan(TABLES, { conflict: 'replace' });
      const result = await importRows(plan, quietly);
      for (const table of result.tables) {
        expect(table).toMatchObject({
          inserted: table.inserts,
          updated: table.updates,
          deleted: table.deletes,
        });
        expect(table).toMatchObject({ vanished: 0, drifted: 0, orphans: 0, uniqueClashes: 0 });
      }
      expect(result.tables[1]?.deleted).toBe(13);
      expect(await contentOf(sides.live)).toEqual(await contentOf(sides.copy));
      expect(undoOf(plan)).toMatchObject({
        folder: 'undo/',
        tables: [
          { table: `${sides.db}.customers`, key: ['id'], columns: ['id', 'email', 'balance'] },
          { table: `${sides.db}.orders`, counts: { deleted: 13 } },
        ],
      });
      expect(kept(plan, 0, 'inserted').map(([how, , key]) => [how, key])).toEqual(
        [['i', '3'], ...Array.from({ length: 10 }, (_, n) => ['u', String(5 * n + 5)])].sort(
          ([, one], [, other]) => Number(one) - Number(other),
        ),
      );
      expect(kept(plan, 0, 'replaced').slice(0, 2)).toEqual([
        ['u', '5', 'c5', '6.00'],
        ['u', '10', 'c10', '11.00'],
      ]);
      expect(kept(plan, 0, 'replaced').at(-1)).toEqual(['d', '51', 'new', null]);
      expect(kept(plan, 1, 'replaced')).toHaveLength((result.tables[1]?.updated ?? 0) + 13);
      expect(await leftBehind()).toEqual([]);
      expect(await importRows(plan, quietly)).toEqual({ ...result, alreadyDone: true });
      await expectVerified(plan);
      await sides.live(
        'DELETE FROM orders WHERE id = 7',
        'UPDATE orders SET note = NULL WHERE id = 14',
        "INSERT INTO customers (id, email, balance) VALUES (51, 'new', NULL)",
      );
      expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict === 'fail')).toMatchObject([
        { name: `import of ${sides.db}.customers: rows gone` },
        { name: `import of ${sides.db}.orders: rows present`, detail: expect.stringContaining('1 row of') },
      ]);
    });

    test('what has changed since the plan counts as drift', async () => {
      const sides = await server.make(...SHOP);
      await sides.live('UPDATE customers SET balance = 0 WHERE id <= 10');
      const plan = await sides.plan(TABLES, { conflict: 'replace' });
      await sides.live(
        'UPDATE customers SET balance = 7 WHERE id = 20',
        "INSERT INTO customers (email) VALUES ('x')",
        'DELETE FROM orders WHERE id = 5',
        'UPDATE customers SET balance = 1 WHERE id = 1',
      );
      const before = await contentOf(sides.live);
      const drifted = { type: 'PlanChanged', reason: 'drift', hint: expect.stringContaining('--drift') };
      await expect(importRows({ ...plan, drift: 2 }, quietly)).rejects.toMatchObject(drifted);
      await expect(importRows(plan, quietly)).rejects.toMatchObject(drifted);
      expect(await contentOf(sides.live)).toEqual(before);
      expect(await leftBehind()).toEqual([]);
      const result = await importRows({ ...plan, drift: 3 }, quietly);
      expect(result.tables).toMatchObject([
        { updates: 10, updated: 10, deleted: 1, drifted: 2, vanished: 1 },
        { inserted: 1, drifted: 1, vanished: 0 },
      ]);
      expect(await contentOf(sides.live)).toEqual(await contentOf(sides.copy));
    });

    test('never cascades: a row that got a child since the plan stays', async () => {
      const sides = await server.make(...SHOP);
      await sides.live("INSERT INTO customers (email) VALUES ('x')");
      const plan = await sides.plan(['customers'], { conflict: 'replace', drift: 9 });
      expect(plan.comparisons[0]?.rules[2]?.change).toMatchObject({ deletes: 1, orphans: 0 });
      await sides.live('INSERT INTO orders (customer) VALUES (51)');
      const before = await contentOf(sides.live);
      await expect(importRows(plan, quietly)).rejects.toMatchObject({
        type: 'PlanChanged',
        message: expect.stringContaining('refer to rows of'),
      });
      expect(await contentOf(sides.live)).toEqual(before);
      const again = await sides.plan(['customers'], { conflict: 'replace' });
      expect(again.comparisons[0]?.rules[2]).toMatchObject({
        change: { deletes: 0, orphans: 1 },
        notices: expect.arrayContaining([expect.stringContaining('still refer')]),
      });
      await importRows(again, quietly);
      expect(await contentOf(sides.live)).toEqual(before);
    });

    test('a table without a key, with equal rows', async () => {
      const sides = await server.make(
        'CREATE TABLE k (a int, b varchar(10), c text) PARTITION BY HASH (a) PARTITIONS 3',
        ...SHOP.slice(2, 4),
        "INSERT INTO k SELECT n % 10, 'x', REPEAT('y', n % 10) FROM numbers WHERE n <= 100",
        'INSERT INTO k VALUES (NULL, NULL, NULL), (NULL, NULL, NULL)',
      );
      await sides.live(
        'DELETE FROM k WHERE a = 3',
        'DELETE FROM k WHERE a = 4 LIMIT 4',
        "UPDATE k SET b = 'Y' WHERE a = 7",
        "INSERT INTO k SELECT 1, 'x', 'y' FROM numbers WHERE n <= 3",
        'DELETE FROM k WHERE a IS NULL',
        "INSERT INTO k VALUES (99, 'new', NULL)",
      );
      const plan = await sides.plan(['k'], { conflict: 'replace' });
      expect(plan.comparisons[0]?.rules[0]?.refusal).toContain('no key');
      const result = await importRows(plan, quietly);
      expect(result.tables[0]).toMatchObject({ inserted: 10 + 4 + 10 + 2, deleted: 10 + 3 + 1, vanished: 0 });
      const rows = 'SELECT a, b, c, COUNT(*) AS n FROM k GROUP BY 1, 2, 3 ORDER BY 1, 2';
      expect(await sides.live(rows)).toEqual(await sides.copy(rows));
      expect(undoOf(plan).tables[0]).toMatchObject({ key: null, columns: ['a', 'b', 'c'] });
      expect(kept(plan, 0, 'replaced')).toHaveLength(14);
      expect(kept(plan, 0, 'inserted').reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(26);
      await expectVerified(plan);
    });
  });

  describe('restore-changed', () => {
    test('sets rows back and leaves new ones alone', async () => {
      const sides = await server.make(...SHOP);
      await sides.live(
        'UPDATE customers SET balance = 0 WHERE id <= 10',
        'DELETE FROM orders WHERE id <= 20',
        "INSERT INTO customers (email) VALUES ('new')",
      );
      const plan = await sides.plan(TABLES, { conflict: 'restore-changed' });
      await sides.live(
        'UPDATE customers SET balance = 5 WHERE id = 5',
        'UPDATE customers SET balance = 3 WHERE id = 40',
      );
      const result = await importRows(plan, quietly);
      expect(result.tables).toMatchObject([
        { inserted: 0, updated: 9, deleted: 0, vanished: 1 },
        { inserted: 20, updated: 0, vanished: 0 },
      ]);
      expect(await sides.live('SELECT COUNT(*) AS n, SUM(balance) AS sum FROM customers')).toEqual([
        { n: '51', sum: '1238.00' },
      ]);
    });

    test('rows that exchange unique values, and rows whose unique value another row took', async () => {
      const sides = await server.make(...SHOP);
      await sides.live(
        "UPDATE customers SET email = 'tmp' WHERE id = 1",
        "UPDATE customers SET email = 'c1' WHERE id = 2",
        "UPDATE customers SET email = 'c2' WHERE id = 1",
        "UPDATE customers SET email = 'gone' WHERE id = 3",
        "INSERT INTO customers (email) VALUES ('C3')",
        "UPDATE customers SET email = 'x' WHERE id = 4",
      );
      const plan = await sides.plan(['customers'], { conflict: 'restore-changed' });
      expect(plan.comparisons[0]?.rules[1]?.change).toMatchObject({ updates: 3, uniqueClashes: 1 });
      const result = await importRows(plan, quietly);
      expect(result.tables).toMatchObject([{ updated: 3 }]);
      expect(await sides.live('SELECT id, email FROM customers WHERE id <= 4')).toEqual([
        { id: 1, email: 'c1' },
        { id: 2, email: 'c2' },
        { id: 3, email: 'gone' },
        { id: 4, email: 'c4' },
      ]);
      expect(await sides.live('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: '500' }]);
    });

    test('an approved row that is gone by now is drift', async () => {
      const sides = await server.make(...SHOP);
      await sides.live('UPDATE orders SET note = NULL WHERE id = 1');
      const plan = await sides.plan(['orders'], { conflict: 'restore-changed' });
      await sides.live('DELETE FROM orders WHERE id = 1');
      await expect(importRows(plan, quietly)).rejects.toMatchObject({ type: 'PlanChanged', reason: 'drift' });
      const result = await importRows({ ...plan, drift: 1 }, quietly);
      expect(result.tables).toMatchObject([{ inserted: 1, updated: 0, vanished: 0, drifted: 1 }]);
    });
  });

  describe('insert-missing', () => {
    test('brings back what is missing, without what could not stand, and moves the counter', async () => {
      const sides = await server.make(...SHOP);
      await sides.live(
        'DELETE FROM customers WHERE id > 40',
        "INSERT INTO customers (id, email) VALUES (41, 'c42')",
      );
      const alone = await sides.plan(['orders']);
      expect(alone.comparisons[0]?.rules[0]?.change).toMatchObject({ inserts: 10, orphans: 90 });
      const both = await sides.plan(TABLES);
      expect(both.comparisons.map(({ rules }) => rules[0]?.change)).toMatchObject([
        { inserts: 8, orphans: 0, uniqueClashes: 1 },
        { inserts: 90, orphans: 10 },
      ]);
      const result = await importRows(both, quietly);
      await expectVerified(both);
      expect(result.tables).toMatchObject([{ inserted: 8 }, { inserted: 90 }]);
      expect(
        await sides.live(
          'SELECT COUNT(*) AS n FROM orders o LEFT JOIN customers c ON c.id = o.customer WHERE c.id IS NULL',
        ),
      ).toEqual([{ n: '0' }]);
      await sides.live("INSERT INTO customers (email) VALUES ('next')");
      expect(await sides.live("SELECT id FROM customers WHERE email = 'next'")).toEqual([{ id: 51 }]);
    });

    test('a row that came back by itself has vanished; one whose unique value was taken since changes the plan', async () => {
      const sides = await server.make(...SHOP);
      await sides.live('DELETE FROM customers WHERE id > 48');
      const plan = await sides.plan(['customers']);
      await sides.live("INSERT INTO customers (id, email) VALUES (49, 'other')");
      const result = await importRows(plan, quietly);
      expect(result.tables).toMatchObject([{ inserted: 1, vanished: 1 }]);
      await sides.live('DELETE FROM customers WHERE id > 48');
      const other = await sides.plan(['customers']);
      await sides.live("INSERT INTO customers (id, email) VALUES (77, 'c49')");
      await expect(importRows(other, quietly)).rejects.toMatchObject({
        type: 'PlanChanged',
        message: expect.stringContaining('unique'),
      });
      expect(await leftBehind()).toEqual([]);
    });

    test('rows that refer to each other in a circle, and to themselves', async () => {
      const sides = await server.make(
        'CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, boss int, FOREIGN KEY (boss) REFERENCES a (id))',
        'CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL, FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE)',
        'ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE',
        'SET foreign_key_checks = 0',
        'INSERT INTO a VALUES (1, 10, 3), (2, 10, 2), (3, 30, 1)',
        'INSERT INTO b VALUES (10, 1), (30, 3)',
      );
      await sides.live('SET foreign_key_checks = 0', 'DELETE FROM a', 'DELETE FROM b');
      const alone = await sides.plan(['a']);
      expect(alone.comparisons[0]?.rules[0]?.change).toMatchObject({ inserts: 0, orphans: 3 });
      const plan = await sides.plan(['a', 'b']);
      expect((await importRows(plan, quietly)).tables).toMatchObject([{ inserted: 3 }, { inserted: 2 }]);
    });
  });

  test('side by side: a whole copy under a name of its own, and nothing else', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM orders WHERE id > 3');
    const plan = await sides.plan(TABLES, { conflict: 'side-by-side' });
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([
      { inserted: 50, created: `${sides.db}.customers_restored_copy` },
      { inserted: 500, created: `${sides.db}.orders_restored_copy` },
    ]);
    expect(await contentOf(sides.live, ['orders_restored_copy'])).toEqual(
      await contentOf(sides.copy, ['orders']),
    );
    expect(await sides.live('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: '3' }]);
    expect(undoOf(plan).tables).toMatchObject([{ created: `${sides.db}.customers_restored_copy` }, {}]);
    await expectVerified(plan);
    expect(await leftBehind()).toEqual([]);
    const again = await sides.plan(['orders'], { conflict: 'side-by-side' });
    expect(again.comparisons[0]?.rules[3]?.refusal).toContain('already');
  });

  test('a table that is gone is made again, with all that it had', async () => {
    const sides = await server.make(
      ...SHOP,
      'CREATE TABLE log (what varchar(20))',
      "CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW INSERT INTO log VALUES (CONCAT('order ', NEW.id))",
      "ALTER TABLE orders ADD CONSTRAINT filled CHECK (note <> '')",
    );
    await sides.live('DROP TABLE orders', 'DELETE FROM customers WHERE id = 1');
    const alone = await sides.plan(['orders']);
    expect(alone.comparisons[0]).toMatchObject({
      gone: true,
      rules: [{ change: { inserts: 490, orphans: 10 } }, {}, {}, {}],
    });
    const plan = await sides.plan(TABLES);
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([{ inserted: 1 }, { inserted: 500, created: `${sides.db}.orders` }]);
    expect(await contentOf(sides.live)).toEqual(await contentOf(sides.copy));
    await expectVerified(plan);
    const definition = 'SHOW CREATE TABLE orders';
    expect(await sides.live(definition)).toEqual(await sides.copy(definition));
    await sides.live('INSERT INTO orders (customer) VALUES (1)');
    expect(await sides.live('SELECT * FROM log')).toEqual([{ what: expect.stringMatching('order') }]);
    await expect(sides.live('INSERT INTO orders (customer) VALUES (999)')).rejects.toThrow();
    await sides.live('DELETE FROM customers WHERE id = 1');
    expect(await sides.live('SELECT COUNT(*) AS n FROM orders WHERE customer = 1')).toEqual([{ n: '0' }]);
    expect(await leftBehind()).toEqual([]);
  });

  test('triggers would fire, and so the rules that fire them are refused by name', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE)',
      'CREATE TABLE seen (n int)',
      'INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)',
      'CREATE TRIGGER on_delete AFTER DELETE ON t FOR EACH ROW INSERT INTO seen VALUES (OLD.id)',
    );
    await sides.live(
      'DELETE FROM t WHERE id = 1',
      'UPDATE t SET u = 9 WHERE id = 2',
      'UPDATE t SET u = 2 WHERE id = 3',
      'DELETE FROM seen',
    );
    const plan = await sides.plan(['t'], { conflict: 'restore-changed' });
    const [missing, changed, replace, beside] = plan.comparisons[0]?.rules ?? [];
    expect([missing?.refusal, changed?.refusal, beside?.refusal]).toEqual([null, null, null]);
    expect(replace?.refusal).toMatch(/triggers of .* would fire.*: on_delete; choose side-by-side/);
    // Row 2 wants the value that row 3 gives up: that would be a deletion.
    expect(changed?.change).toMatchObject({ inserts: 1, updates: 1, uniqueClashes: 1 });
    await importRows(plan, quietly);
    expect(await sides.live('SELECT * FROM seen')).toEqual([]);
    await sides.live('CREATE TRIGGER on_insert BEFORE INSERT ON t FOR EACH ROW SET NEW.u = 0');
    const refused = (await sides.plan(['t'])).comparisons[0]?.rules.map(({ refusal }) => refusal === null);
    expect(refused).toEqual([false, false, false, true]);
  });
});
