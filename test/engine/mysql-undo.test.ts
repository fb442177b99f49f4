import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planUndo } from '../../src/engines/mysql/undo/plan.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import { verifyUndo } from '../../src/engines/mysql/undo/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { UndoRule } from '../../src/model/plan.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';
import { type Imported, importBy, plannedUndo, SHOP, undoneBy } from './mysql-undo-fixture.ts';

const TABLES = ['customers', 'orders'];

describe.each(SERIES)('taking imports back on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server?.end());

  const contentOf = async (sides: Sides, tables = TABLES) => {
    const found = [];
    for (const table of tables) found.push(await sides.live(`SELECT * FROM ${table} ORDER BY 1`));
    return found;
  };
  const leftBehind = () =>
    server.production.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_name LIKE 'holdfast%'",
    );
  const verified = async (input: Awaited<ReturnType<typeof plannedUndo>>) =>
    (await verifyUndo({ ...input, transaction: undoneBy(input).record.transaction }, quietly)).map(
      ({ verdict }) => verdict,
    );
  const changesOf = (
    { comparisons }: Awaited<ReturnType<typeof plannedUndo>>,
    rule: UndoRule = 'keep-changed',
  ) =>
    comparisons.map((comparison) => {
      const { inserts, updates, deletes, orphans, uniqueClashes } = ruleOf(comparison, rule).change;
      return [inserts, updates, deletes, orphans, uniqueClashes];
    });
  const HARM = [
    'DELETE FROM orders WHERE id > 90',
    'UPDATE orders SET before_id = NULL WHERE before_id % 7 = 0',
    'DELETE FROM orders WHERE id % 7 = 0',
    "UPDATE customers SET balance = balance + 100, email = CONCAT('x', email) WHERE id <= 5",
    "INSERT INTO customers VALUES (30, 'new', 1)",
    "INSERT INTO orders VALUES (200, 30, 'own', 1)",
  ];

  test.each(['insert-missing', 'restore-changed', 'replace'] as const)(
    'of %s: everything is as before, and the undo can be taken back itself',
    async (rule) => {
      const sides = await server.make(...SHOP);
      await sides.live(...HARM);
      const before = await contentOf(sides);
      const imported = await importBy(sides, TABLES, rule);
      const after = await contentOf(sides);
      expect(after).not.toEqual(before);
      const input = await plannedUndo(sides, imported);
      expect(changesOf(input)).toEqual(changesOf(input, 'overwrite-changed'));
      const result = await undo(input, quietly);
      expect(await contentOf(sides)).toEqual(before);
      for (const table of result.tables) {
        expect(table).toMatchObject({
          inserted: table.inserts,
          updated: table.updates,
          deleted: table.deletes,
        });
      }
      expect(new Set(await verified(input))).toEqual(new Set(['pass']));
      expect(await undo(input, quietly)).toEqual({ ...result, alreadyDone: true });
      const again = await plannedUndo(sides, undoneBy(input));
      await undo(again, quietly);
      expect(await contentOf(sides)).toEqual(after);
      expect(await leftBehind()).toEqual([]);
    },
  );

  test('what others have changed since stays, or is overwritten', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...HARM);
    const before = await contentOf(sides);
    const imported = await importBy(sides, TABLES, 'replace');
    await sides.live(
      "UPDATE customers SET email = 'others' WHERE id = 1",
      "UPDATE orders SET note = 'others' WHERE id IN (91, 92)",
      'DELETE FROM orders WHERE id = 100',
      'UPDATE orders SET before_id = NULL WHERE id = 8',
      "INSERT INTO customers VALUES (30, 'others too', 3)",
    );
    const input = await plannedUndo(sides, imported);
    expect(changesOf(input)).toMatchObject([
      [0, 4, 0, 0, 0],
      [1, expect.any(Number), expect.any(Number), expect.any(Number), 0],
    ]);
    expect(input.comparisons[0]?.notices.join()).toMatch(
      /others have changed or deleted 2 rows.* as 0\.changed$/,
    );
    expect(input.undo.objects.get(`${input.undo.folder}0.changed`)?.toString()).toBe('id\n1\n30\n');
    await undo(input, quietly);
    expect(await sides.live('SELECT id, email FROM customers WHERE id IN (1, 2, 30) ORDER BY id')).toEqual([
      { id: 1, email: 'others' },
      { id: 2, email: 'xc2' },
      { id: 30, email: 'others too' },
    ]);
    expect(await sides.live("SELECT id FROM orders WHERE note = 'others' ORDER BY id")).toEqual([
      { id: 91 },
      { id: 92 },
    ]);
    expect(await verified(input)).toEqual(['pass', 'pass']);
    const rest = await plannedUndo(sides, imported, 'overwrite-changed');
    await undo(rest, quietly);
    expect(await contentOf(sides)).toEqual(before);
  });

  test('rows that others refer to by now stay, and so does what would clash', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(
      'DELETE FROM customers WHERE id > 18',
      "UPDATE customers SET email = 'free' WHERE id = 2",
    );
    const imported = await importBy(sides, ['customers'], 'restore-changed');
    await sides.live(
      "INSERT INTO orders VALUES (300, 19, 'others', NULL)",
      "INSERT INTO customers VALUES (40, 'free', 0)",
    );
    const input = await plannedUndo(sides, imported);
    expect(changesOf(input)).toEqual([[0, 0, 1, 1, 1]]);
    await undo(input, quietly);
    expect(await sides.live('SELECT id FROM customers WHERE id IN (19, 20)')).toEqual([{ id: 19 }]);
    expect(await sides.live('SELECT COUNT(*) AS n FROM orders WHERE id = 300')).toEqual([{ n: '1' }]);
  });

  test('unique values that rows exchanged go back', async () => {
    const sides = await server.make(
      'CREATE TABLE seats (id INT PRIMARY KEY, seat INT UNIQUE)',
      'INSERT INTO seats VALUES (1,1),(2,2),(3,3)',
    );
    await sides.live('UPDATE seats SET seat = seat + 10', 'UPDATE seats SET seat = 1 + (id % 3)');
    const before = await contentOf(sides, ['seats']);
    const input = await plannedUndo(sides, await importBy(sides, ['seats'], 'restore-changed'));
    await undo(input, quietly);
    expect(await contentOf(sides, ['seats'])).toEqual(before);
  });

  test('of a table without a key: equal rows are counted', async () => {
    const sides = await server.make(
      'CREATE TABLE plain (a INT, b VARCHAR(20))',
      "INSERT INTO plain VALUES (1,'x'),(1,'x'),(1,'x'),(2,NULL),(3,'y')",
    );
    await sides.live(
      'DELETE FROM plain WHERE a = 1 LIMIT 2',
      'DELETE FROM plain WHERE a = 2',
      "INSERT INTO plain VALUES (4,'z'),(4,'z')",
    );
    const content = () => sides.live('SELECT a, b, COUNT(*) AS n FROM plain GROUP BY a, b ORDER BY a');
    const before = await content();
    const imported = await importBy(sides, ['plain'], 'replace');
    const input = await plannedUndo(sides, imported);
    expect(changesOf(input)).toEqual([[2, 0, 3, 0, 0]]);
    await undo(input, quietly);
    expect(await content()).toEqual(before);
    await undo(await plannedUndo(sides, undoneBy(input)), quietly);
    await sides.live('DELETE FROM plain WHERE a = 2');
    const changed = await plannedUndo(sides, imported);
    expect(changesOf(changed)).toEqual([[2, 0, 2, 0, 0]]);
    expect(changed.comparisons[0]?.rules[1]?.refusal).toMatch(/cannot be told from others/);
    expect(changed.comparisons[0]?.notices[0]).toMatch(/has no key: 1 row /);
    await undo(changed, quietly);
    expect(await content()).toEqual(before);
  });

  test('of a table without a key, but with unique values and parents', async () => {
    const sides = await server.make(
      'CREATE TABLE p (id INT PRIMARY KEY)',
      'CREATE TABLE k (u INT UNIQUE, v INT, p INT, FOREIGN KEY (p) REFERENCES p (id))',
      'INSERT INTO p VALUES (1),(2)',
      'INSERT INTO k VALUES (1,1,1),(2,2,1),(NULL,5,2),(NULL,5,2),(NULL,5,2)',
    );
    await sides.live(
      'UPDATE k SET v = 9',
      'DELETE FROM k WHERE u IS NULL LIMIT 1',
      'INSERT INTO k VALUES (7,7,1)',
    );
    const content = () => sides.live('SELECT u, v, p, COUNT(*) AS n FROM k GROUP BY u, v, p ORDER BY u');
    const before = await content();
    const imported = await importBy(sides, ['k'], 'replace');
    await sides.live('INSERT INTO k VALUES (NULL,5,2)');
    const input = await plannedUndo(sides, imported);
    expect(changesOf(input)).toEqual([[5, 0, 5, 0, 0]]);
    await undo(input, quietly);
    await sides.live('DELETE FROM k WHERE v = 5');
    expect(await content()).toEqual(before);
    // What refers to a parent that is gone by now, and what others have the unique value of, stays away.
    const again = await importBy(sides, ['k'], 'replace');
    await sides.live(
      'DELETE FROM k WHERE p = 2',
      'DELETE FROM p WHERE id = 2',
      'INSERT INTO k VALUES (7,70,1)',
    );
    const left = await plannedUndo(sides, again);
    expect(changesOf(left)).toEqual([[2, 0, 2, 2, 1]]);
    await undo(left, quietly);
    expect(await sides.live('SELECT u, v FROM k ORDER BY u')).toEqual([
      { u: 1, v: 9 },
      { u: 2, v: 9 },
      { u: 7, v: 70 },
    ]);
  });

  describe('tables that the import made', () => {
    test('go, and stay where somebody uses them', async () => {
      const sides = await server.make(...SHOP);
      const beside = await importBy(sides, TABLES, 'side-by-side');
      const there = () =>
        sides.live(
          'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1',
        );
      expect(await there()).toHaveLength(4);
      await sides.live("UPDATE customers_restored_copy SET email = 'mine' WHERE id = 1");
      const input = await plannedUndo(sides, beside);
      expect(changesOf(input)).toEqual([
        [0, 0, 0, 0, 0],
        [0, 0, 100, 0, 0],
      ]);
      expect(input.comparisons[0]?.rules[0]?.notices[0]).toMatch(/stays: it has been changed since/);
      const result = await undo(input, quietly);
      expect(result).toMatchObject({ undo: null, tables: [{ deleted: 0 }, { deleted: 100 }] });
      expect((await there()).map(({ name }) => name)).toEqual([
        'customers',
        'customers_restored_copy',
        'orders',
      ]);
      const rest = await plannedUndo(sides, beside, 'overwrite-changed');
      expect(rest.comparisons[1]?.notices[0]).toMatch(/is gone already/);
      await sides.live('CREATE VIEW uses AS SELECT id FROM customers_restored_copy');
      const used = await plannedUndo(sides, beside, 'overwrite-changed');
      expect(used.comparisons[0]?.rules[1]?.notices[0]).toMatch(/stays: view .*uses depends on it/);
      await sides.live('DROP VIEW uses');
      await undo(rest, quietly);
      expect(await there()).toHaveLength(2);
    });

    test('and that were gone: they go with the rows of others in one undo', async () => {
      const sides = await server.make(...SHOP);
      await sides.live('DROP TABLE orders', 'DELETE FROM customers WHERE id > 10');
      const imported = await importBy(sides, TABLES, 'insert-missing');
      expect(await sides.live('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: '100' }]);
      const input = await plannedUndo(sides, imported);
      expect(changesOf(input)).toEqual([
        [0, 0, 10, 0, 0],
        [0, 0, 100, 0, 0],
      ]);
      await undo(input, quietly);
      expect(await sides.live('SELECT COUNT(*) AS n FROM customers')).toEqual([{ n: '10' }]);
      expect(await sides.live("SHOW TABLES LIKE 'orders'")).toEqual([]);
      expect(await verified(input)).toEqual(['pass', 'pass']);
      expect(await leftBehind()).toEqual([]);
    });
  });

  test('knows another undo of the same import, by what is left of it', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM orders WHERE id > 90');
    const imported = await importBy(sides, ['orders'], 'insert-missing');
    const input = await plannedUndo(sides, imported);
    const marker = `${sides.db}.holdfast_import_other_00000000`;
    const earlier = { by: 'undo/shop/1', transaction: marker };
    // Nothing is left of it, and the rows are as the import left them: it did not commit.
    await planUndo({ ...input, earlier }, quietly);
    await sides.live('CREATE TABLE holdfast_import_other_00000000 (done TINYINT PRIMARY KEY)');
    await planUndo({ ...input, earlier }, quietly);
    await sides.live('INSERT INTO holdfast_import_other_00000000 VALUES (1)');
    const taken = { type: 'InvalidInput', message: 'the import was taken back already, by undo/shop/1' };
    await expect(planUndo({ ...input, earlier }, quietly)).rejects.toMatchObject(taken);
    await sides.live('DROP TABLE holdfast_import_other_00000000');
    await undo(input, quietly);
    await expect(planUndo({ ...input, earlier }, quietly)).rejects.toMatchObject(taken);
  });

  test('does nothing where rows have changed since the plan', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM orders WHERE id > 90');
    const imported = await importBy(sides, TABLES, 'insert-missing');
    const input = await plannedUndo(sides, imported);
    await sides.live("UPDATE orders SET note = 'late' WHERE id = 95");
    const now = await contentOf(sides);
    await expect(undo(input, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await contentOf(sides)).toEqual(now);
    expect(await leftBehind()).toEqual([]);
  });

  test('waits for nobody while it plans, and for a lock only so long', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM orders WHERE id > 90');
    const imported = await importBy(sides, TABLES, 'insert-missing');
    const other = await server.production.connect(sides.db);
    try {
      await other.query('START TRANSACTION');
      await other.query("UPDATE orders SET note = 'open' WHERE id = 95");
      const input = await plannedUndo(sides, imported);
      expect(changesOf(input)).toEqual([[0, 0, 10, 0, 0]]);
      await expect(undo({ ...input, lockTimeoutMs: 500 }, quietly)).rejects.toMatchObject({
        type: 'LockNotAvailable',
      });
      await other.query('ROLLBACK');
      await undo(input, quietly);
      expect(await sides.live('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: '90' }]);
    } finally {
      await other.close();
    }
  });

  test('refuses what cannot be taken back', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM orders WHERE id > 90');
    const imported = await importBy(sides, TABLES, 'insert-missing');
    const change = (undoData: object): Imported => ({
      ...imported,
      record: {
        ...imported.record,
        undo: { ...(imported.record.undo as object), ...undoData } as Imported['record']['undo'],
      },
    });
    const server_ = imported.record.undo?.server;
    const refused = async (it: Imported, type: string, message: RegExp) =>
      expect(plannedUndo(sides, it)).rejects.toMatchObject({ type, message: expect.stringMatching(message) });
    await refused(
      { ...imported, record: { ...imported.record, undo: null } },
      'InvalidInput',
      /changed nothing/,
    );
    await refused(change({ expiresAt: '2020-01-01T00:00:00Z' }), 'InvalidInput', /expired/);
    await refused(
      change({ server: { ...server_, systemIdentifier: 'another' } }),
      'CheckFailed',
      /another server/,
    );
    await refused(
      change({ server: { ...server_, lsn: 'binlog.999999:4' } }),
      'CheckFailed',
      /restored to a time before/,
    );
    const damaged = imported.record.undo?.tables.map((table) => ({
      ...table,
      inserted: table.inserted?.map((one) => ({ ...one, sha256: 'x' })) ?? null,
    }));
    await refused(change({ tables: damaged }), 'ChecksumMismatch', /is not what was stored/);
    await sides.live('CREATE TRIGGER fires AFTER DELETE ON orders FOR EACH ROW SET @x = 1');
    await refused(imported, 'NotSupported', /triggers of .*orders would fire.*fires/);
    await sides.live('DROP TRIGGER fires', 'ALTER TABLE orders DROP COLUMN note');
    await refused(imported, 'NotSupported', /column note is gone since/);
    await sides.live('DROP TABLE orders');
    await refused(imported, 'NotSupported', /table is gone since/);
  });
});
