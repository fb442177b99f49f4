import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { openSession, quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import { contentOf, importBy, importByHand, plannedUndo } from './postgres-undo-fixture.ts';
import { CHANGE, IMPORT, PEOPLE, planned } from './postgres-undo-people.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const SHOP = `CREATE DOMAIN code AS text NOT NULL;
  CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, code code, flag bool,
    wide char(5), shout text GENERATED ALWAYS AS (upper(email)) STORED, boss int REFERENCES customers);
  CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL REFERENCES customers, note text) PARTITION BY RANGE (id);
  CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (50);
  CREATE TABLE orders_2 PARTITION OF orders DEFAULT;
  CREATE TABLE items ("order" bigint REFERENCES orders ON DELETE CASCADE, "Line""; DROP" int, note text, raw bytea,
    PRIMARY KEY ("order", "Line""; DROP"));
  CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$;
  INSERT INTO customers (email, code, flag, wide, boss) SELECT 'c' || n, 'x', n % 2 = 0, n, NULLIF(n / 2, 0) FROM generate_series(1, 40) n;
  INSERT INTO orders SELECT n, 1 + n % 40, E'a\\b\tc' FROM generate_series(1, 100) n;
  INSERT INTO items SELECT o, l, CASE l WHEN 1 THEN NULL WHEN 2 THEN '' ELSE E'\\N' END, '\\x00ff'
    FROM generate_series(1, 100) o, generate_series(1, 3) l;
  CREATE TRIGGER failing BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION fail()`;
const TABLES = ['public.customers', 'public.items', 'public.orders'];
const ACCIDENT = `ALTER TABLE items DISABLE TRIGGER failing;
  DELETE FROM orders WHERE id BETWEEN 20 AND 60; UPDATE orders SET note = NULL, customer = 2 WHERE id > 90;
  UPDATE items SET note = 'changed' WHERE "order" < 10;
  UPDATE customers SET email = 'swap' WHERE id = 5; UPDATE customers SET email = 'c5' WHERE id = 6; UPDATE customers SET email = 'c6' WHERE id = 5;
  INSERT INTO customers (email, code) VALUES ('new', 'y'); INSERT INTO orders VALUES (200, 41, 'new'); INSERT INTO items VALUES (200, 1);
  ALTER TABLE items ENABLE TRIGGER failing`;

describe('an undo', () => {
  test.each<ConflictRule>(['insert-missing', 'restore-changed', 'replace'])(
    'of an import by %s gives back exactly what was there, and its own undo the import',
    async (rule) => {
      const sides = await server.make(SHOP);
      await sides.live(ACCIDENT);
      const before = await contentOf(sides, TABLES);
      const { record, read } = await importBy(sides, TABLES, rule);
      const imported = await contentOf(sides, TABLES);
      expect(imported).not.toEqual(before);

      const input = await plannedUndo(sides, record, read);
      const result = await undo(input, quietly);
      expect(await contentOf(sides, TABLES)).toEqual(before);
      expect(
        result.tables.every(
          (one) => one.inserted === one.inserts && one.updated === one.updates && one.deleted === one.deletes,
        ),
      ).toBe(true);
      expect(result.undo).toMatchObject({ folder: input.undo.folder, sizeBytes: expect.any(Number) });
      expect(await sides.live(`SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'failing'`)).toEqual([
        { tgenabled: 'O' },
      ]);

      const [own] = await input.journal.read();
      const again = await plannedUndo(sides, own as NonNullable<typeof own>, input.undo.read);
      await undo(again, quietly);
      expect(await contentOf(sides, TABLES)).toEqual(imported);
    },
  );

  test('leaves alone what others have changed since, or takes that back too', async () => {
    const change = `UPDATE people SET note = 'theirs' WHERE id IN (1, 31); DELETE FROM people WHERE id IN (2, 32);
      INSERT INTO people VALUES (21, 'p21', 'theirs')`;
    const kept = await server.make(PEOPLE);
    const before = await contentOf(kept, ['people']);
    const by = await importByHand(kept, CHANGE, IMPORT);
    await kept.live(change);
    const result = await undo(await plannedUndo(kept, by.record, by.read), quietly);
    expect(result.tables[0]).toMatchObject({ inserted: 9, updated: 8, deleted: 8 });
    expect(await kept.live(`SELECT id FROM people WHERE note <> 'before' ORDER BY id`)).toEqual(
      [1, 21, 31].map((id) => ({ id })),
    );
    expect(await kept.live('SELECT count(*)::int AS n FROM people')).toEqual([{ n: 30 }]);

    const taken = await server.make(PEOPLE);
    const other = await importByHand(taken, CHANGE, IMPORT);
    await taken.live(change);
    await undo(await plannedUndo(taken, other.record, other.read, 'overwrite-changed'), quietly);
    expect(await contentOf(taken, ['people'])).toEqual(before);
  });

  test('has nothing to do to rows that somebody has put back already', async () => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    await undo(await plannedUndo(sides, by.record, by.read), quietly);
    const plan = await planned(by);
    expect([plan.keep().counts, plan.over().counts]).toEqual([
      [0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0],
    ]);
    expect(plan.comparisons[0]?.notices).toEqual([]);
  });

  test.each([
    ['a row of it has been changed', `UPDATE people SET note = 'x' WHERE id = 31`],
    ['a row that was deleted is there', `INSERT INTO people VALUES (25, 'other')`],
    [
      'somebody refers to a row that is to go',
      `CREATE TABLE fans (of int REFERENCES people ON DELETE CASCADE); INSERT INTO fans VALUES (31)`,
    ],
    ['somebody holds a unique key', `INSERT INTO people VALUES (99, 'p25')`],
  ])('changes nothing where since the plan %s', async (_, change) => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    const input = await plannedUndo(sides, by.record, by.read);
    await sides.live(change);
    const before = await contentOf(sides, ['people']);
    await expect(undo(input, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await contentOf(sides, ['people'])).toEqual(before);
    expect(await input.journal.read()).toEqual([]);
  });

  test.each([
    ['a row of it is changed', `UPDATE people SET note = 'x' WHERE id = 31`],
    ['a row that was deleted comes', `INSERT INTO people VALUES (25, 'other')`],
    ['somebody refers to a row that is to go', `INSERT INTO fans VALUES (31)`],
    ['somebody takes a unique key', `INSERT INTO people VALUES (99, 'p25')`],
  ])('changes nothing where at the last moment %s', async (_, change) => {
    const sides = await server.make(
      `${PEOPLE}; CREATE TABLE fans (of int REFERENCES people ON DELETE CASCADE)`,
    );
    const by = await importByHand(sides, CHANGE, IMPORT);
    const input = await plannedUndo(sides, by.record, by.read);
    // While its own undo data is stored, everything has been judged.
    const sink: typeof input.undo.sink = {
      async put(name, content, options) {
        await sides.live(`${change} ON CONFLICT DO NOTHING`.replace(/^(UPDATE.*) ON CONFLICT.*$/, '$1'));
        return input.undo.sink.put(name, content, options);
      },
    };
    await expect(undo({ ...input, undo: { ...input.undo, sink } }, quietly)).rejects.toMatchObject({
      type: 'PlanChanged',
    });
    expect(await sides.live('SELECT count(*)::int AS n FROM people WHERE id BETWEEN 31 AND 40')).toEqual([
      { n: 10 },
    ]);
    expect(await input.journal.read()).toEqual([]);
  });

  test('waits for locks no longer than it may, and then has changed nothing', async () => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    const input = await plannedUndo(sides, by.record, by.read);
    const other = await openSession(sides.production);
    await other.query('BEGIN; SELECT FROM people WHERE id = 31 FOR KEY SHARE');
    await expect(undo({ ...input, lockTimeoutMs: 600 }, quietly)).rejects.toMatchObject({
      type: 'LockNotAvailable',
    });
    await other.query('ROLLBACK');
    await other.end();
    expect((await undo(input, quietly)).tables[0]).toMatchObject({ deleted: 10 });
  });

  test('is done once, however often it is tried', async () => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    const input = await plannedUndo(sides, by.record, by.read);
    const first = await undo(input, quietly);
    await sides.live(`INSERT INTO people VALUES (31, 'theirs')`);
    expect(await undo(input, quietly)).toEqual({ ...first, alreadyDone: true });
    expect(await sides.live('SELECT email FROM people WHERE id = 31')).toEqual([{ email: 'theirs' }]);
  });

  test('of a table without a key, and of one that the import made', async () => {
    const sides = await server.make(
      `CREATE TABLE lines (a int, b text); INSERT INTO lines SELECT n % 3, 'x' FROM generate_series(1, 9) n`,
    );
    const before = await contentOf(sides, ['lines']);
    const by = await importByHand(
      sides,
      {
        'public.lines': {
          key: null,
          columns: ['a', 'b'],
          count: 5,
          replaced: `SELECT 'd', a, b FROM lines WHERE a = 1`,
        },
        'public.other': { created: 'public.other_restored_1', key: null, columns: ['a'], count: 3 },
      },
      `DELETE FROM lines WHERE a = 1; INSERT INTO lines SELECT 7, 'y' FROM generate_series(1, 5);
       CREATE TABLE other_restored_1 AS SELECT a FROM lines WHERE a = 2`,
    );
    const result = await undo(await plannedUndo(sides, by.record, by.read), quietly);
    expect(result.tables).toMatchObject([{ inserted: 3, deleted: 5 }, { deleted: 3 }]);
    expect(await contentOf(sides, ['lines'])).toEqual(before);
    expect(await sides.live(`SELECT to_regclass('public.other_restored_1')::text AS t`)).toEqual([
      { t: null },
    ]);
  });

  test('of an import side by side drops the copies, and of tables that were gone drops these', async () => {
    const sides = await server.make(SHOP);
    const beside = await importBy(sides, TABLES, 'side-by-side');
    const copies = `SELECT count(*)::int AS n FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE '%\\_restored\\_%'`;
    expect(await sides.live(copies)).toEqual([{ n: 3 }]);
    const dropping = await plannedUndo(sides, beside.record, beside.read);
    // Whoever reads that rows go has to see that they are not those of the table itself.
    const emptied = dropping.comparisons.map((one) => ruleOf(one, 'keep-changed').change.table);
    expect(emptied.every((table) => table.includes('_restored_'))).toBe(true);
    await undo(dropping, quietly);
    expect(await sides.live(copies)).toEqual([{ n: 0 }]);

    await sides.live('DROP TABLE items, orders');
    const gone = await importBy(sides, TABLES, 'replace');
    expect(await sides.live('SELECT count(*)::int AS n FROM items')).toEqual([{ n: 300 }]);
    const input = await plannedUndo(sides, gone.record, gone.read);
    const notices = input.comparisons.flatMap((one) => ruleOf(one, 'keep-changed').notices);
    expect(notices.filter((notice) => notice.includes('cannot be taken back'))).toHaveLength(2);
    const other = await openSession(sides.production);
    await other.query('BEGIN; INSERT INTO orders VALUES (999, 1)');
    await expect(undo({ ...input, lockTimeoutMs: 600 }, quietly)).rejects.toMatchObject({
      type: 'LockNotAvailable',
    });
    await other.query('COMMIT');
    await other.end();
    await expect(undo(input, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    const kept = await plannedUndo(sides, gone.record, gone.read);
    // A reference to what stays keeps nothing; orders stays for its new row.
    expect(kept.comparisons.map((one) => ruleOf(one, 'keep-changed').change.deletes)).toEqual([300, 0]);
    await undo(await plannedUndo(sides, gone.record, gone.read, 'overwrite-changed'), quietly);
    expect(
      await sides.live(`SELECT to_regclass('items')::text AS i, to_regclass('orders')::text AS o`),
    ).toEqual([{ i: null, o: null }]);
  });

  test('of a table that the import made keeps it for another that refers to it and stays', async () => {
    const sides = await server.make(SHOP);
    await sides.live('DROP TABLE items, orders');
    const gone = await importBy(sides, TABLES, 'replace');
    await sides.live(
      `ALTER TABLE items DISABLE TRIGGER failing; UPDATE items SET note = 'theirs' WHERE "order" = 1`,
    );
    const plan = await plannedUndo(sides, gone.record, gone.read);
    const rules = plan.comparisons.map((one) => ruleOf(one, 'keep-changed'));
    expect(rules.map(({ change }) => change.deletes)).toEqual([0, 0]);
    expect(rules.flatMap(({ notices }) => notices).join()).toMatch(
      /it has been changed since.*depends on it/,
    );
  });

  test('of an import into hard tables gives back exactly what was there', async () => {
    const sides = await server.make(`
      CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TYPE pair AS (a int, b text);
      CREATE TABLE heap (a int, b text, c pair, d tsrange);
      INSERT INTO heap SELECT n % 4, NULLIF(n % 3, 0), ROW(n, NULL)::pair, tsrange('2026-01-01', '2026-01-02') FROM generate_series(1, 24) n;
      CREATE TABLE kinds (k numeric PRIMARY KEY, m mood, p pair, nothing pair, j jsonb, a text[], iv interval, x xml, f float8, b bool, c char(4),
        id int GENERATED ALWAYS AS IDENTITY UNIQUE, twice numeric GENERATED ALWAYS AS (k * 2) STORED);
      INSERT INTO kinds (k, m, p, nothing, j, a, iv, x, f, b, c) SELECT n / 10.0, 'low'::mood, ROW(n, '"x')::pair, ROW(NULL, NULL)::pair, '{"a": [1, null]}'::jsonb, ARRAY['a,b', NULL, '"'],
        '1 mon 3 days'::interval, '<a/>'::xml, n / 3.0, n % 2 = 0, 'ab' FROM generate_series(1, 50) n;
      CREATE TABLE rooms (id int PRIMARY KEY, room int, during tsrange, EXCLUDE USING gist (during WITH &&));
      INSERT INTO rooms SELECT n, 1, tsrange('2026-01-01'::timestamp + n * interval '1 day', '2026-01-02'::timestamp + n * interval '1 day') FROM generate_series(1, 20) n;
      CREATE TABLE "Tree of ""life""; -- ü" ("the id" uuid PRIMARY KEY, up uuid REFERENCES "Tree of ""life""; -- ü" DEFERRABLE INITIALLY DEFERRED);
      INSERT INTO "Tree of ""life""; -- ü" SELECT md5(n::text)::uuid, CASE WHEN n > 1 THEN md5((n / 2)::text)::uuid END FROM generate_series(1, 60) n;
      CREATE TABLE ring_a (id int PRIMARY KEY, b int NOT NULL); CREATE TABLE ring_b (id int PRIMARY KEY, a int NOT NULL REFERENCES ring_a);
      INSERT INTO ring_a SELECT n, n FROM generate_series(1, 9) n; INSERT INTO ring_b SELECT n, n FROM generate_series(1, 9) n;
      ALTER TABLE ring_a ADD FOREIGN KEY (b) REFERENCES ring_b`);
    await sides.live(`ALTER TABLE "Tree of ""life""; -- ü" RENAME TO tree; BEGIN;
      DELETE FROM heap WHERE a = 1; INSERT INTO heap VALUES (9, 'new', NULL, NULL), (9, 'new', NULL, NULL); UPDATE heap SET b = 'u' WHERE a = 2;
      DELETE FROM kinds WHERE k > 4; INSERT INTO kinds (k) VALUES (99);
      UPDATE kinds SET m = 'high', p = NULL, nothing = NULL, f = 'NaN', b = NULL, c = 'é', a = '{}' WHERE k < 2;
      UPDATE rooms SET during = tsrange('2027-01-01', '2027-01-02') WHERE id = 3;
      UPDATE rooms SET during = tsrange('2026-01-04', '2026-01-05') WHERE id = 7;
      DELETE FROM tree WHERE up IS NOT NULL AND "the id"::text < '8';
      UPDATE tree SET up = NULL WHERE "the id"::text > 'c' OR NOT EXISTS (SELECT FROM tree p WHERE p."the id" = tree.up);
      COMMIT; ALTER TABLE tree RENAME TO "Tree of ""life""; -- ü";
      WITH a AS (DELETE FROM ring_a WHERE id > 5) DELETE FROM ring_b WHERE id > 5`);
    const named = ['heap', 'kinds', 'ring_a', 'ring_b', 'rooms', '"Tree of ""life""; -- ü"'];
    const before = await contentOf(sides, named);
    const { record, read } = await importBy(
      sides,
      named.map((name) => `public.${name}`),
      'replace',
    );
    const imported = await contentOf(sides, named);
    const input = await plannedUndo(sides, record, read);
    await undo(input, quietly);
    expect(await contentOf(sides, named)).toEqual(before);
    const [own] = await input.journal.read();
    await undo(await plannedUndo(sides, own as NonNullable<typeof own>, input.undo.read), quietly);
    expect(await contentOf(sides, named)).toEqual(imported);
  });
});
