import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { UndoRule } from '../../src/model/plan.ts';
import { quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import {
  contentOf,
  type ImportedByHand,
  importBy,
  importByHand,
  plannedUndo,
} from './postgres-undo-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Inserts, updates, deletes, orphans, clashes of each table. */
async function countsOf(by: ImportedByHand, rule: UndoRule = 'keep-changed'): Promise<number[][]> {
  const comparisons = await planUndo(by.input(), quietly);
  return comparisons.map((comparison) => {
    const { inserts, updates, deletes, orphans, uniqueClashes } = ruleOf(comparison, rule).change;
    return [inserts, updates, deletes, orphans, uniqueClashes];
  });
}

async function undoBy(sides: Sides, by: ImportedByHand, rule: UndoRule = 'keep-changed') {
  return undo(await plannedUndo(sides, by.record, by.read, rule), quietly);
}

const CASELESS = `CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`;

describe('where equal keys can be written differently', () => {
  test.each([
    ['interval', `'1 day'`, `'24 hours'`],
    ['float8', `'0'`, `'-0'`],
    ['jsonb', `'{"a": 1}'`, `'{"a": 1.0}'`],
    ['numeric', `'1.0'`, `'1.00'`],
    ['text COLLATE caseless', `'bob'`, `'Bob'`],
  ])('%s: an undo of replace gives back what was there, to the letter', async (type, then, now) => {
    const sides = await server.make(`${CASELESS} CREATE TABLE t (k ${type} PRIMARY KEY, n int);
      INSERT INTO t VALUES (${then}, 1)`);
    await sides.live(`DELETE FROM t; INSERT INTO t VALUES (${now}, 2)`);
    const before = await contentOf(sides, ['t']);
    const { record, read } = await importBy(sides, ['public.t'], 'replace');
    const imported = await contentOf(sides, ['t']);
    expect(imported).not.toEqual(before);
    for (const rule of ['keep-changed', 'overwrite-changed'] as const) {
      const input = await plannedUndo(sides, record, read, rule);
      await undo(input, quietly);
      expect(await contentOf(sides, ['t'])).toEqual(before);
      const [own] = await input.journal.read();
      await undo(await plannedUndo(sides, own as NonNullable<typeof own>, input.undo.read), quietly);
      expect(await contentOf(sides, ['t'])).toEqual(imported);
    }
  });

  const NAMES = `${CASELESS} CREATE TABLE t (k text COLLATE caseless PRIMARY KEY, n int); INSERT INTO t VALUES ('Bob', 1)`;
  const change = {
    'public.t': {
      key: ['k'],
      columns: ['k', 'n'],
      inserted: 'SELECT k FROM t',
      replaced: `SELECT 'd', k, n FROM t`,
    },
  };
  const IMPORT = `DELETE FROM t; INSERT INTO t VALUES ('bob', 2)`;

  test.each([
    ['changed the row', 'UPDATE t SET n = 3'],
    ['written its key differently', `UPDATE t SET k = 'BOB'`],
  ])('what stands in its way since others have %s stays, or goes too', async (_, theirs) => {
    const sides = await server.make(NAMES);
    const before = await contentOf(sides, ['t']);
    const by = await importByHand(sides, change, IMPORT);
    await sides.live(theirs);
    const changed = await contentOf(sides, ['t']);
    expect(await countsOf(by)).toEqual([[0, 0, 0, 0, 1]]);
    expect(await countsOf(by, 'overwrite-changed')).toEqual([[1, 0, 1, 0, 0]]);
    await undoBy(sides, by);
    expect(await contentOf(sides, ['t'])).toEqual(changed);
    await undoBy(sides, by, 'overwrite-changed');
    expect(await contentOf(sides, ['t'])).toEqual(before);
  });

  test('a row that others have put back is the same', async () => {
    const sides = await server.make(NAMES);
    const before = await contentOf(sides, ['t']);
    const by = await importByHand(sides, change, IMPORT);
    await sides.live(`UPDATE t SET k = 'Bob', n = 1`);
    for (const rule of ['keep-changed', 'overwrite-changed'] as const) {
      expect(await countsOf(by, rule)).toEqual([[0, 0, 0, 0, 0]]);
    }
    expect(await contentOf(sides, ['t'])).toEqual(before);
  });
});

describe('references', () => {
  test('are found where an equal value is written differently', async () => {
    const sides = await server.make(`CREATE TABLE p (k numeric PRIMARY KEY);
      CREATE TABLE c (id int PRIMARY KEY, p numeric REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1.00)`);
    const before = await contentOf(sides, ['p', 'c']);
    const by = await importByHand(
      sides,
      {
        'public.p': { key: ['k'], columns: ['k'], replaced: `SELECT 'd', k FROM p` },
        'public.c': { key: ['id'], columns: ['id', 'p'], replaced: `SELECT 'd', id, p FROM c` },
      },
      'DELETE FROM c; DELETE FROM p',
    );
    expect(await countsOf(by)).toEqual([
      [1, 0, 0, 0, 0],
      [1, 0, 0, 0, 0],
    ]);
    await undoBy(sides, by);
    expect(await contentOf(sides, ['p', 'c'])).toEqual(before);
  });

  const CODES = (action: string) => `CREATE TABLE p (id int PRIMARY KEY, code numeric UNIQUE);
    CREATE TABLE c (id int PRIMARY KEY, code numeric REFERENCES p (code) ${action}); INSERT INTO p VALUES (1, 1.0)`;
  const codes = {
    'public.p': { key: ['id'], columns: ['id', 'code'], replaced: `SELECT 'u', id, code FROM p` },
  };

  test('are not written anew by an undo that writes an equal value differently', async () => {
    const sides = await server.make(CODES('ON UPDATE CASCADE'));
    const by = await importByHand(sides, codes, 'UPDATE p SET code = 1.00');
    const input = await plannedUndo(sides, by.record, by.read);
    // While the undo stages: too late for it to judge.
    const sink: typeof input.undo.sink = {
      async put(name, content, options) {
        await sides.live('INSERT INTO c VALUES (1, 1.00)');
        return input.undo.sink.put(name, content, options);
      },
    };
    await expect(undo({ ...input, undo: { ...input.undo, sink } }, quietly)).rejects.toMatchObject({
      type: 'PlanChanged',
    });
    expect(await contentOf(sides, ['c'])).toEqual([[{ row: '(1,1.00)' }]]);
    expect(await countsOf(by)).toEqual([[0, 0, 0, 1, 0]]);
  });

  test('keep nothing from being written differently where no action follows from it', async () => {
    const sides = await server.make(CODES(''));
    const by = await importByHand(sides, codes, 'UPDATE p SET code = 1.00');
    await sides.live('INSERT INTO c VALUES (1, 1.00)');
    await undoBy(sides, by);
    expect(await contentOf(sides, ['p', 'c'])).toEqual([[{ row: '(1,1.0)' }], [{ row: '(1,1.00)' }]]);
  });
});

describe('unique values', () => {
  const SWAP = `UPDATE customers SET email = 'swap' WHERE id = 1; UPDATE customers SET email = 'a' WHERE id = 2;
    UPDATE customers SET email = 'b' WHERE id = 1`;
  const customers = {
    'public.customers': {
      key: ['id'],
      columns: ['id', 'email'],
      replaced: `SELECT 'u', id, email FROM customers WHERE id < 3`,
    },
  };
  const shop = (unique: string) => `CREATE TABLE customers (id int PRIMARY KEY, email text ${unique});
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE);
    INSERT INTO customers VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO orders VALUES (1, 3)`;

  test('change places again where no other row hangs on these', async () => {
    const sides = await server.make(shop('UNIQUE'));
    const before = await contentOf(sides, ['customers', 'orders']);
    const by = await importByHand(sides, customers, SWAP);
    const hanging = await plannedUndo(sides, by.record, by.read);
    await undo(hanging, quietly);
    expect(await contentOf(sides, ['customers', 'orders'])).toEqual(before);
  });

  test('stay where an order would go along, unless they are looked at in the end only', async () => {
    const sides = await server.make(shop('UNIQUE'));
    const by = await importByHand(sides, customers, SWAP);
    await sides.live('INSERT INTO orders VALUES (2, 1)');
    expect(await countsOf(by)).toEqual([[0, 0, 0, 0, 2]]);

    const late = await server.make(shop('UNIQUE DEFERRABLE'));
    const before = await contentOf(late, ['customers']);
    const other = await importByHand(late, customers, SWAP);
    await late.live('INSERT INTO orders VALUES (2, 1)');
    await undoBy(late, other);
    expect(await contentOf(late, ['customers'])).toEqual(before);
    expect(await late.live('SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 2 }]);
  });

  test('that production computes are looked at, too', async () => {
    const sides = await server.make(`CREATE DOMAIN name AS text NOT NULL;
      CREATE TABLE t (id int PRIMARY KEY, a name, low text GENERATED ALWAYS AS (lower(a)) STORED UNIQUE);
      INSERT INTO t VALUES (1, 'X'), (2, 'Y')`);
    const by = await importByHand(
      sides,
      { 'public.t': { key: ['id'], columns: ['id', 'a'], replaced: `SELECT 'd', id, a FROM t` } },
      'DELETE FROM t',
    );
    await sides.live(`INSERT INTO t VALUES (9, 'x')`);
    expect(await countsOf(by)).toEqual([[1, 0, 0, 0, 1]]);
    await undoBy(sides, by);
    expect(await contentOf(sides, ['t'])).toEqual([[{ row: '(2,Y,y)' }, { row: '(9,x,x)' }]]);
  });

  test('that are a key and computed are known', async () => {
    const sides =
      await server.make(`CREATE TABLE t (a int NOT NULL, k int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY, n int);
      INSERT INTO t (a, n) VALUES (1, 1), (2, 2), (3, 3)`);
    const before = await contentOf(sides, ['t']);
    const by = await importByHand(
      sides,
      {
        'public.t': {
          key: ['k'],
          columns: ['a', 'n'],
          inserted: 'SELECT k FROM t WHERE a = 4',
          replaced: `SELECT CASE a WHEN 1 THEN 'u' ELSE 'd' END, a, n FROM t WHERE a < 3`,
        },
      },
      'UPDATE t SET n = 9 WHERE a = 1; DELETE FROM t WHERE a = 2; INSERT INTO t (a) VALUES (4)',
    );
    await undoBy(sides, by);
    expect(await contentOf(sides, ['t'])).toEqual(before);
  });
});
