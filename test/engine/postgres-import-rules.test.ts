import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput, UndoData } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../src/engines/postgres/import/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import {
  type memoryJournal,
  type memoryUndo,
  quietly,
  type Sides,
  type SidesServer,
  startSides,
} from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const SHOP = `CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, balance numeric,
    shout text GENERATED ALWAYS AS (upper(email)) STORED);
  CREATE TABLE orders (id bigserial PRIMARY KEY, customer int NOT NULL REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE, note text);
  CREATE TABLE log (what text);
  CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.log VALUES (TG_TABLE_NAME || TG_OP); RETURN coalesce(NEW, OLD); END $$;
  INSERT INTO customers (email, balance) SELECT 'c' || n, n FROM generate_series(1, 50) n;
  INSERT INTO orders (customer, note) SELECT 1 + n % 50, 'order ' || n FROM generate_series(1, 500) n;
  CREATE TRIGGER noted BEFORE INSERT OR UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION noted();
  CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION noted()`;
const TABLES = ['public.customers', 'public.orders'];
const CONTENT = `SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM customers t) AS customers,
  (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM orders t) AS orders`;

async function planned(sides: Sides, tables: string[], conflict: ConflictRule): Promise<ImportInput> {
  return { ...(await sides.plan(tables)), conflict };
}

function undoOf(plan: ImportInput): UndoData {
  return (plan.journal as ReturnType<typeof memoryJournal>).records.at(-1)?.undo as UndoData;
}

function kept(plan: ImportInput, table: number, what: 'inserted' | 'replaced'): string[] {
  const objects = undoOf(plan).tables[table]?.[what] ?? [];
  return objects.flatMap(({ key }) => (plan.undo as ReturnType<typeof memoryUndo>).lines(key));
}

async function expectVerified(plan: ImportInput): Promise<void> {
  expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
}

describe('replace', () => {
  test('makes the tables the restored copy: rows come, change and go, and no trigger fires', async () => {
    const sides = await server.make(SHOP);
    await sides.live(`DELETE FROM orders WHERE id % 7 = 0; DELETE FROM customers WHERE id = 3;
      UPDATE customers SET balance = balance + 1 WHERE id % 5 = 0; UPDATE orders SET note = NULL, customer = 1 WHERE id % 11 = 0;
      INSERT INTO customers (email) VALUES ('new'); INSERT INTO orders (customer) SELECT 51 FROM generate_series(1, 9);
      INSERT INTO orders (customer) SELECT 1 FROM generate_series(1, 4); DELETE FROM log`);
    const plan = await planned(sides, TABLES, 'replace');
    const result = await importRows(plan, quietly);
    expect(result.tables.map(({ orphans, uniqueClashes }) => orphans + uniqueClashes)).toEqual([0, 0]);
    for (const table of result.tables) {
      expect(table).toMatchObject({
        inserted: table.inserts,
        updated: table.updates,
        deleted: table.deletes,
      });
      expect(table).toMatchObject({ vanished: 0, drifted: 0 });
    }
    expect(result.tables[1]?.deleted).toBe(13);
    expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
    expect(await sides.live('SELECT * FROM log')).toEqual([]);
    expect(
      await sides.live("SELECT DISTINCT tgenabled::text FROM pg_trigger WHERE tgname = 'noted'"),
    ).toEqual([{ tgenabled: 'O' }]);
    expect(undoOf(plan)).toMatchObject({
      folder: 'undo/',
      tables: [
        { table: 'public.customers', key: ['id'], columns: ['id', 'email', 'balance'] },
        { table: 'public.orders', counts: { deleted: 13 } },
      ],
    });
    expect(kept(plan, 0, 'inserted')).toEqual(['3']);
    expect(kept(plan, 0, 'replaced').sort().slice(0, 2)).toEqual(['d\t51\tnew\t\\N', 'u\t10\tc10\t11']);
    expect(kept(plan, 1, 'replaced')).toHaveLength((result.tables[1]?.updated ?? 0) + 13);
    await expectVerified(plan);
  });

  test('what has changed since the plan counts as drift', async () => {
    const sides = await server.make(SHOP);
    await sides.live('UPDATE customers SET balance = 0 WHERE id <= 10');
    const plan = await planned(sides, TABLES, 'replace');
    await sides.live(`UPDATE customers SET balance = 7 WHERE id = 20; INSERT INTO customers (email) VALUES ('x');
      DELETE FROM orders WHERE id = 5; UPDATE customers SET balance = 1 WHERE id = 1; DELETE FROM log`);
    const before = await sides.live(CONTENT);
    const drifted = { type: 'PlanChanged', reason: 'drift', hint: expect.stringContaining('--drift') };
    await expect(importRows({ ...plan, drift: 2 }, quietly)).rejects.toMatchObject(drifted);
    await expect(importRows(plan, quietly)).rejects.toMatchObject(drifted);
    expect(await sides.live(CONTENT)).toEqual(before);
    const result = await importRows({ ...plan, drift: 3 }, quietly);
    expect(result.tables).toMatchObject([
      { updates: 10, updated: 10, deleted: 1, drifted: 2, vanished: 1 },
      { inserted: 1, drifted: 1, vanished: 0 },
    ]);
    expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
  });

  test('never cascades: a row that got a child since the plan stays', async () => {
    const sides = await server.make(SHOP);
    await sides.live("INSERT INTO customers (email) VALUES ('x')");
    const plan = await planned(sides, ['public.customers'], 'replace');
    await sides.live('INSERT INTO orders (customer) VALUES (51)');
    const before = await sides.live(CONTENT);
    await expect(importRows({ ...plan, drift: 9 }, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await sides.live(CONTENT)).toEqual(before);
  });

  test('a table without a key, with equal rows', async () => {
    const sides = await server.make(`CREATE TABLE k (a int, b text, c json) PARTITION BY RANGE (a);
      CREATE TABLE k1 PARTITION OF k FOR VALUES FROM (0) TO (5); CREATE TABLE k2 PARTITION OF k DEFAULT;
      INSERT INTO k SELECT n % 10, 'x', '{"a": 1}' FROM generate_series(1, 100) n; INSERT INTO k VALUES (NULL, NULL, NULL), (NULL, NULL, NULL)`);
    await sides.live(`DELETE FROM k WHERE a = 3; DELETE FROM k WHERE ctid IN (SELECT ctid FROM k1 WHERE a = 4 LIMIT 4) AND tableoid = 'k1'::regclass;
      UPDATE k SET b = 'y' WHERE a = 7; INSERT INTO k SELECT 1, 'x', '{"a": 1}' FROM generate_series(1, 3); DELETE FROM k WHERE a IS NULL; INSERT INTO k VALUES (99, 'new')`);
    const plan = await planned(sides, ['public.k'], 'replace');
    const result = await importRows(plan, quietly);
    expect(result.tables[0]).toMatchObject({ inserted: 10 + 4 + 10 + 2, deleted: 10 + 3 + 1, vanished: 0 });
    const rows = 'SELECT a, b, c::text, count(*)::int FROM k GROUP BY 1, 2, 3 ORDER BY 1, 2';
    expect(await sides.live(rows)).toEqual(await sides.copy(rows));
    expect(undoOf(plan).tables[0]).toMatchObject({ key: null, inserted: null });
    expect(kept(plan, 0, 'replaced')).toHaveLength(14);
    await expectVerified(plan);
  });
});

describe('restore-changed', () => {
  test('sets rows back and leaves new ones alone', async () => {
    const sides = await server.make(SHOP);
    await sides.live(`UPDATE customers SET balance = 0 WHERE id <= 10; DELETE FROM orders WHERE id <= 20;
      INSERT INTO customers (email) VALUES ('new'); DELETE FROM log`);
    const plan = await planned(sides, TABLES, 'restore-changed');
    await sides.live(
      'UPDATE customers SET balance = 5 WHERE id = 5; UPDATE customers SET balance = 3 WHERE id = 40; DELETE FROM log',
    );
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([
      { inserted: 0, updated: 9, deleted: 0, vanished: 1 },
      { inserted: 20, updated: 0, vanished: 0 },
    ]);
    expect(await sides.live('SELECT count(*)::int AS n, sum(balance)::int AS sum FROM customers')).toEqual([
      { n: 51, sum: 1275 - 37 },
    ]);
    expect(await sides.live('SELECT * FROM log')).toEqual([]);
    await expectVerified(plan);
  });

  test('a row that is gone by now is beyond the plan', async () => {
    const sides = await server.make(SHOP);
    await sides.live(
      'UPDATE customers SET balance = 0 WHERE id <= 10; INSERT INTO customers (email) VALUES (NULL)',
    );
    const plan = await planned(sides, ['public.customers'], 'restore-changed');
    await sides.live('DELETE FROM customers WHERE id = 4');
    await expect(importRows(plan, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    const result = await importRows({ ...plan, drift: 1 }, quietly);
    expect(result.tables[0]).toMatchObject({ inserted: 1, updated: 9, drifted: 1, vanished: 0 });
  });
});

describe.each(['restore-changed', 'replace'] as const)('%s', (conflict) => {
  test('gives unique values from one row to another', async () => {
    const sides =
      await server.make(`CREATE TABLE u (id int PRIMARY KEY, a int UNIQUE, b text, during int4range, EXCLUDE USING gist (during WITH &&));
      CREATE UNIQUE INDEX ON u (lower(b)) WHERE b <> 'any'; CREATE TABLE child (u int REFERENCES u);
      INSERT INTO u SELECT n, n, 'b' || n, int4range(n * 10, n * 10 + 10) FROM generate_series(1, 30) n; INSERT INTO child SELECT id FROM u`);
    await sides.live(`UPDATE u SET a = -a, b = NULL, during = NULL; UPDATE u SET a = 1 + id % 30, b = 'B' || 31 - id,
      during = int4range(((id + 7) % 30 + 1) * 10, ((id + 7) % 30 + 1) * 10 + 10)`);
    const plan = await planned(sides, ['public.u'], conflict);
    const result = await importRows(plan, quietly);
    expect(result.tables[0]).toMatchObject({ updates: 30, updated: 30, inserted: 0, deleted: 0 });
    const content = `SELECT string_agg(u::text, '|' ORDER BY id) AS u, (SELECT count(*)::int FROM child) AS c FROM u`;
    expect(await sides.live(content)).toEqual(await sides.copy(content));
    expect(undoOf(plan).tables[0]?.counts).toEqual({ inserted: 0, updated: 30, deleted: 0 });
    await expectVerified(plan);
  });

  test('with foreign keys in a circle, checked at once', async () => {
    const sides =
      await server.make(`CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
      ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; INSERT INTO a SELECT n FROM generate_series(1, 9) n;
      INSERT INTO b SELECT n, n FROM generate_series(1, 9) n; UPDATE a SET b = 10 - id`);
    await sides.live(
      'UPDATE a SET b = 1; DELETE FROM b WHERE id > 1; DELETE FROM a WHERE id > 4; UPDATE b SET a = 2',
    );
    const plan = await planned(sides, ['public.a', 'public.b'], conflict);
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([
      { inserted: 5, updated: 4 },
      { inserted: 8, updated: 1 },
    ]);
    const content = `SELECT (SELECT string_agg(a::text, '|' ORDER BY id) FROM a), (SELECT string_agg(b::text, '|' ORDER BY id) AS b FROM b)`;
    expect(await sides.live(content)).toEqual(await sides.copy(content));
    await expectVerified(plan);
  });

  test('with an identity that only the server gives', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, d int GENERATED ALWAYS AS (id * 2) STORED);
      INSERT INTO t (id) SELECT generate_series(1, 9)`);
    await sides.live('DELETE FROM t WHERE id > 5; INSERT INTO t (id) VALUES (6), (7), (8)');
    const plan = await planned(sides, ['public.t'], conflict);
    expect((await importRows(plan, quietly)).tables[0]).toMatchObject({ inserted: 1, updated: 3 });
    expect(await sides.live('SELECT id, n, d FROM t WHERE id > 7 ORDER BY id')).toEqual([
      { id: 8, n: 8, d: 16 },
      { id: 9, n: 9, d: 18 },
    ]);
  });
});

describe('side-by-side', () => {
  test('makes a table of its own beside each, and touches nothing else', async () => {
    const sides =
      await server.make(`CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE "T; ""x""" (id int, "Name" text COLLATE "C" NOT NULL,
        m mood DEFAULT 'b', twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, "Name"));
      COMMENT ON TABLE "T; ""x""" IS 'what it''s for'; CREATE TABLE k (n int, a json) PARTITION BY LIST (n); CREATE TABLE k1 PARTITION OF k DEFAULT;
      INSERT INTO "T; ""x""" SELECT n, E'\\t' || n FROM generate_series(1, 2000) n; INSERT INTO k SELECT n, '{"a":  1}' FROM generate_series(1, 30) n`);
    await sides.live('TRUNCATE "T; ""x"""; DELETE FROM k');
    const plan = await planned(sides, ['public."T; ""x"""', 'public.k'], 'side-by-side');
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([
      { inserts: 2000, inserted: 2000, created: 'public."T; ""x""_restored_copy"' },
      { inserted: 30, created: 'public.k_restored_copy' },
    ]);
    expect(await sides.live('SELECT count(*)::int AS n FROM "T; ""x"""')).toEqual([{ n: 0 }]);
    const content = (name: string) =>
      `SELECT md5(string_agg(t::text, '|' ORDER BY id)) AS content FROM ${name} t`;
    expect(await sides.live(content('"T; ""x""_restored_copy"'))).toEqual(
      await sides.copy(content('"T; ""x"""')),
    );
    expect(
      await sides.live(`SELECT obj_description(c.oid) AS comment, (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p') AS key
        FROM pg_class c WHERE relname = 'T; "x"_restored_copy'`),
    ).toEqual([{ comment: "what it's for", key: 'PRIMARY KEY (id, "Name")' }]);
    expect(undoOf(plan).tables).toMatchObject([
      {
        created: 'public."T; ""x""_restored_copy"',
        createdId: expect.stringMatching(/^\d+$/),
        counts: { inserted: 2000 },
      },
      { created: 'public.k_restored_copy' },
    ]);
    await expectVerified(plan);
    await sides.live('DELETE FROM k_restored_copy WHERE n = 1');
    expect((await verifyImport(plan, quietly)).map(({ verdict }) => verdict)).toEqual(['pass', 'fail']);
    const again = { ...plan, planDigest: 'another' };
    await expect(importRows(again, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
  });
});

test('a sequence goes as far as it had been, whatever was numbered by hand', async () => {
  const sides =
    await server.make(`CREATE TABLE hand (id serial PRIMARY KEY); INSERT INTO hand VALUES (5), (2147483647);
    CREATE TABLE few (id serial PRIMARY KEY); CREATE TABLE many (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY (INCREMENT 3));
    CREATE TABLE reset (id serial PRIMARY KEY); SELECT setval('reset_id_seq', 8, false);
    INSERT INTO few SELECT FROM generate_series(1, 40); INSERT INTO many SELECT FROM generate_series(1, 4000); INSERT INTO reset VALUES (6), (7), (9)`);
  await sides.live(`DELETE FROM hand; DELETE FROM few WHERE id > 5; SELECT setval('few_id_seq', 30); DELETE FROM many;
    ALTER SEQUENCE many_id_seq RESTART; DELETE FROM reset; ALTER SEQUENCE reset_id_seq RESTART`);
  const plan = await planned(
    sides,
    ['public.hand', 'public.few', 'public.many', 'public.reset'],
    'insert-missing',
  );
  await importRows(plan, quietly);
  const next = ['hand', 'few', 'many', 'reset'].map((name) => `nextval('${name}_id_seq')::int AS ${name}`);
  expect(await sides.live(`SELECT ${next.join(', ')}`)).toEqual([
    { hand: 1, few: 41, many: 12_001, reset: 8 },
  ]);
});

describe('side-by-side of a table that is guarded', () => {
  test('opens it to nobody, whatever is granted by default', async () => {
    const sides =
      await server.make(`DO $$ BEGIN CREATE ROLE nosy; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      CREATE TABLE secrets (id int PRIMARY KEY, t text); CREATE TABLE plain (id int); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON secrets USING (id = 1); GRANT SELECT ON secrets TO nosy; INSERT INTO secrets VALUES (1, 'a'), (2, 'b')`);
    await sides.live(`ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO nosy;
      ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC; ALTER TABLE plain ENABLE ROW LEVEL SECURITY`);
    const plan = await planned(sides, ['public.secrets', 'public.plain'], 'side-by-side');
    const said = plan.comparisons.map((table) => ruleOf(table, 'side-by-side').notices.join('\n'));
    for (const notices of said) expect(notices).toMatch(/none of its grants .*row security is on for it/);
    await importRows(plan, quietly);
    expect(
      await sides.live(`SELECT relname, array_to_string(relacl, ' ') AS acl, relrowsecurity AS guarded
        FROM pg_class WHERE relname LIKE '%restored_copy' ORDER BY 1`),
    ).toEqual([
      { relname: 'plain_restored_copy', acl: 'postgres=arwdDxt/postgres', guarded: true },
      { relname: 'secrets_restored_copy', acl: 'postgres=arwdDxt/postgres', guarded: true },
    ]);
    await expectVerified(plan);
  });

  test('and one without columns has as many rows', async () => {
    const sides = await server.make(
      'CREATE TABLE none (); INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES',
    );
    await sides.live('DELETE FROM none');
    const plan = await planned(sides, ['public.none'], 'side-by-side');
    expect((await importRows(plan, quietly)).tables).toMatchObject([{ inserted: 2 }]);
    await expectVerified(plan);
  });
});

describe('a table that is gone', () => {
  const MADE = `CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id serial PRIMARY KEY, p int REFERENCES p, a text UNIQUE, b int DEFAULT 7);
    CREATE INDEX by_b ON t (b); COMMENT ON TABLE t IS 'tea'; CREATE TABLE k (t int REFERENCES t);
    INSERT INTO p SELECT generate_series(1, 9); INSERT INTO t (p, a) SELECT 1 + n % 9, 'a' || n FROM generate_series(1, 500) n; INSERT INTO k VALUES (1), (1)`;

  test.each(['insert-missing', 'replace'] as const)(
    'is made again with all that was to it: %s',
    async (conflict) => {
      const sides = await server.make(MADE);
      await sides.live('DROP TABLE t CASCADE; DROP TABLE k; DELETE FROM p WHERE id = 9');
      const plan = await planned(sides, ['public.t', 'public.k', 'public.p'], conflict);
      const result = await importRows(plan, quietly);
      expect(result.tables).toMatchObject([
        { table: 'public.k', inserted: 2, created: 'public.k' },
        { table: 'public.p', inserted: 1, created: null },
        { table: 'public.t', inserted: 500, created: 'public.t' },
      ]);
      const shape = `SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM t) AS rows, obj_description('t'::regclass) AS comment,
      (SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes WHERE tablename = 't') AS indexes,
      (SELECT string_agg(pg_get_constraintdef(oid), ';' ORDER BY conrelid::regclass::text, contype, conname) FROM pg_constraint WHERE conrelid IN ('t'::regclass, 'k'::regclass)) AS constraints,
      (SELECT last_value::int FROM t_id_seq) AS last`;
      expect(await sides.live(shape)).toEqual(await sides.copy(shape));
      expect(undoOf(plan).tables.map(({ created }) => created)).toEqual(['public.k', null, 'public.t']);
      await expectVerified(plan);
    },
  );

  test('since the plan, or there again: nothing changes', async () => {
    const sides = await server.make(MADE);
    const plan = await planned(sides, ['public.k'], 'replace');
    await sides.live('DROP TABLE k');
    await expect(importRows(plan, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    const other = await planned(sides, ['public.k'], 'replace');
    await sides.live('CREATE TABLE k (t int)');
    await expect(importRows(other, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await sides.live('SELECT count(*)::int AS n FROM k')).toEqual([{ n: 0 }]);
  });
});
