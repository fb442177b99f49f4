import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableComparison } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import { query, quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const SHOP = `
  CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE);
  CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE);
  CREATE TABLE items (order_id bigint REFERENCES orders, line int, note text, PRIMARY KEY (order_id, line));
  INSERT INTO customers (email) SELECT 'c' || n || '@example.org' FROM generate_series(1, 100) n;
  INSERT INTO orders (customer) SELECT 1 + n % 100 FROM generate_series(0, 999) n;
  INSERT INTO items SELECT o, l, 'x' FROM generate_series(1, 1000) o, generate_series(1, 3) l;`;

const ownRule = (found: TableComparison | undefined) =>
  found === undefined ? undefined : ruleOf(found, 'insert-missing');
const changeOf = (found: TableComparison) => ruleOf(found, 'insert-missing').change;

describe('rows that production lacks', () => {
  test('are exactly those that were deleted, whatever came since', async () => {
    const sides = await server.make(SHOP);
    await sides.live(`DELETE FROM items WHERE order_id % 7 = 0; DELETE FROM orders WHERE id % 7 = 0;
      INSERT INTO orders (customer) SELECT 1 FROM generate_series(1, 50);
      UPDATE items SET note = 'changed' WHERE order_id = 1`);
    const found = await compare(sides.input(['public.items', 'public.orders']), quietly);
    expect(found.map(changeOf).map((change) => change)).toEqual([
      { table: 'public.items', inserts: 426, updates: 0, deletes: 0, orphans: 0, uniqueClashes: 0 },
      { table: 'public.orders', inserts: 142, updates: 0, deletes: 0, orphans: 0, uniqueClashes: 0 },
    ]);
    const keys = (await readFile(join(found[1]?.keysFolder as string, 'missing'), 'utf8'))
      .trimEnd()
      .split('\n');
    expect(keys).toEqual(Array.from({ length: 142 }, (_, index) => String((index + 1) * 7)));
  });

  test('are found the same way twice, and the digest covers which they are', async () => {
    const sides = await server.make(SHOP);
    await sides.live('DELETE FROM items WHERE order_id = 5');
    const [first] = await compare(sides.input(['public.items']), quietly);
    const [again] = await compare(sides.input(['public.items']), quietly);
    expect(ownRule(again)?.keysSha256).toBe(ownRule(first)?.keysSha256);
    expect(again?.keysFolder).not.toBe(first?.keysFolder);
    await sides.live(
      "INSERT INTO items VALUES (5, 1, 'x'), (5, 2, 'x'), (5, 3, 'x'); DELETE FROM items WHERE order_id = 6",
    );
    const [other] = await compare(sides.input(['public.items']), quietly);
    expect(ownRule(other)?.change).toEqual(ownRule(first)?.change);
    expect(ownRule(other)?.keysSha256).not.toBe(ownRule(first)?.keysSha256);
  });

  const KEYS: [string, string, string][] = [
    ['integers with negative ones', 'bigint', `n * 37 - 30000`],
    [
      'numeric with several scales',
      'numeric',
      `(n - 900) * CASE n % 3 WHEN 0 THEN 1.5 WHEN 1 THEN 2.000 ELSE 100.01 END`,
    ],
    [
      'text with every kind of character',
      'text',
      `chr(1 + n % 126) || chr(1 + (n / 126) % 126) || E'\\\\\\t\\n' || n || 'ä'`,
    ],
    [
      'text of a language',
      'text COLLATE "de-x-icu"',
      `CASE n % 4 WHEN 0 THEN 'Z' WHEN 1 THEN 'ä' WHEN 2 THEN '-a' ELSE 'B b' END || n`,
    ],
    ['text in byte order', 'text COLLATE "C"', `md5(n::text)`],
    ['character(n)', 'character(12)', `'k' || n`],
    ['uuid', 'uuid', `md5(n::text)::uuid`],
    ['timestamps', 'timestamptz', `'2026-01-31 10:00Z'::timestamptz + n * interval '0.37 s'`],
    ['bytea', 'bytea', `decode(md5(n::text), 'hex')`],
    ['dates before Christ', 'date', `'0003-01-01'::date - n`],
    ['floating point', 'double precision', `n / 3.0 - 100`],
    ['intervals', 'interval', `n * interval '1 hour'`],
  ];
  test.each(KEYS)('with a key of %s', async (_, type, value) => {
    const sides = await server.make(`CREATE TABLE t (k ${type} PRIMARY KEY, n int);
      INSERT INTO t SELECT ${value}, n FROM generate_series(1, 2000) n`);
    await sides.live(
      `DELETE FROM t WHERE n % 5 = 0 OR n BETWEEN 700 AND 760; UPDATE t SET n = -n WHERE n % 3 = 0`,
    );
    const [found] = await compare(sides.input(['public.t']), quietly);
    const [expected] = await sides.live(`SELECT 2000 - count(*)::int AS missing FROM t`);
    expect(ownRule(found)?.change).toMatchObject({
      inserts: expected?.missing,
      orphans: 0,
      uniqueClashes: 0,
    });
  });

  test('with a composite key, without a primary key, and with all rows gone', async () => {
    const sides = await server.make(`CREATE TABLE t (a text NOT NULL, b int NOT NULL, c uuid NOT NULL, v int);
      CREATE UNIQUE INDEX t_key ON t (a, b, c);
      INSERT INTO t SELECT 'a' || chr(9) || n % 10, -n, md5(n::text)::uuid, n FROM generate_series(1, 3000) n`);
    await sides.live(`DELETE FROM t WHERE v > 2990`);
    expect(ownRule((await compare(sides.input(['public.t']), quietly))[0])?.change.inserts).toBe(10);
    await sides.live('TRUNCATE t');
    expect(ownRule((await compare(sides.input(['public.t']), quietly))[0])?.change.inserts).toBe(3000);
  });

  test('in partitions, quoted names and other schemas', async () => {
    const sides = await server.make(`CREATE SCHEMA "Ware;house";
      CREATE TABLE "Ware;house"."Öl ""x""; drop" ("Größe; '" int, at date, PRIMARY KEY ("Größe; '", at)) PARTITION BY RANGE (at);
      CREATE TABLE "Ware;house".p1 PARTITION OF "Ware;house"."Öl ""x""; drop" FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
      CREATE TABLE "Ware;house".p2 PARTITION OF "Ware;house"."Öl ""x""; drop" DEFAULT;
      INSERT INTO "Ware;house"."Öl ""x""; drop" SELECT n, '2026-01-01'::date + n FROM generate_series(1, 90) n`);
    await sides.live(`DELETE FROM "Ware;house"."Öl ""x""; drop" WHERE "Größe; '" > 80`);
    const [found] = await compare(sides.input(['Ware;house."Öl ""x""; drop"']), quietly);
    expect(ownRule(found)?.change).toMatchObject({ table: 'Ware;house."Öl ""x""; drop"', inserts: 10 });
  });
});

describe('rows that cannot come back', () => {
  test('orphans: through several tables, and within one', async () => {
    const sides = await server.make(`${SHOP}
      CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree, label text UNIQUE);
      INSERT INTO tree SELECT n, n - 1, 'label ' || n FROM generate_series(2, 30) n WHERE false;
      INSERT INTO tree VALUES (1, NULL, 'root');
      INSERT INTO tree SELECT n, n - 1, 'label ' || n FROM generate_series(2, 30) n;`);
    // customer 7 is gone and not among the tables: its orders cannot come back, nor their items.
    await sides.live(`DELETE FROM items; DELETE FROM orders; DELETE FROM customers WHERE id = 7;
      DELETE FROM tree WHERE id > 10; INSERT INTO tree VALUES (1000, 1, 'label 20')`);
    const found = await compare(sides.input(['public.items', 'public.orders', 'public.tree']), quietly);
    expect(
      found.map(changeOf).map((change) => [change.inserts, change.orphans, change.uniqueClashes]),
    ).toEqual([
      [2970, 30, 0],
      [990, 10, 0],
      [9, 10, 1],
    ]);
  });

  test('clashes: other unique keys, partial and by expression, nulls apart', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int PRIMARY KEY, email text, code int, live boolean, UNIQUE (code));
      CREATE UNIQUE INDEX t_email ON t (lower(email)) WHERE live;
      INSERT INTO t SELECT n, 'User' || n, CASE WHEN n > 2 THEN n END, n % 2 = 0 FROM generate_series(1, 20) n`);
    await sides.live(`DELETE FROM t WHERE id <= 10;
      INSERT INTO t VALUES (101, 'USER4', NULL, true), (102, 'USER5', NULL, true), (103, 'x', 3, false), (104, 'USER6', 8, false)`);
    const [found] = await compare(sides.input(['public.t']), quietly);
    // 4 by its address, 3 and 8 by their codes; 5 is not live, 6's address is not held by a live row.
    expect(ownRule(found)?.change).toMatchObject({ inserts: 7, uniqueClashes: 3 });
  });

  test('a parent that comes back by another unique key than its primary one', async () => {
    const sides = await server.make(`CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE);
      CREATE TABLE c (id int PRIMARY KEY, code text REFERENCES p (code));
      INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO c VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, NULL)`);
    // p 2 is still there under another code: c 2 has no parent.
    await sides.live(`DELETE FROM c; DELETE FROM p WHERE id = 1; UPDATE p SET code = 'other' WHERE id = 2`);
    const [children, parents] = await compare(sides.input(['public.c', 'public.p']), quietly);
    expect(ownRule(parents)?.change).toMatchObject({ inserts: 1, orphans: 0 });
    expect(ownRule(children)?.change).toMatchObject({ inserts: 3, orphans: 1 });
  });
});

describe('what is said and what is refused', () => {
  test('a view, an unknown table', async () => {
    const sides = await server.make('CREATE VIEW v AS SELECT 1 AS x');
    const refusal = (table: string) => compare(sides.input([table]), quietly);
    await expect(refusal('public.v')).rejects.toMatchObject({ type: 'NotSupported' });
    await expect(refusal('public.missing')).rejects.toMatchObject({ type: 'UnknownTable' });
  });

  test('columns added, dropped and retyped since; children that cascaded', async () => {
    const sides = await server.make(SHOP);
    await sides.live(`ALTER TABLE orders ADD note text, ALTER customer TYPE bigint; DELETE FROM items; DELETE FROM orders;
      DELETE FROM customers WHERE id = 3; ALTER TABLE customers ADD must int NOT NULL DEFAULT 1`);
    const [customers, orders] = await compare(sides.input(['public.customers', 'public.orders']), quietly);
    expect(orders?.notices.join('\n')).toMatch(/customer was integer and is bigint[\s\S]*note is new since/);
    const [alone] = await compare(sides.input(['public.customers']), quietly);
    expect(alone?.notices.join('\n')).toContain('public.orders may have deleted its rows with theirs');
    expect(customers?.notices.join('\n')).not.toContain('may have deleted');
    await sides.live('ALTER TABLE customers ALTER must DROP DEFAULT');
    const [unfillable] = await compare(sides.input(['public.customers']), quietly);
    const refused = unfillable?.rules.map(({ refusal }) => refusal?.startsWith('column must ') === true);
    expect(refused).toEqual([true, true, true, false]);
  });

  test('a circle of foreign keys', async () => {
    const sides = await server.make(`CREATE TABLE a (id int PRIMARY KEY, b int);
      CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
      ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b DEFERRABLE;
      INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1`);
    await sides.live('UPDATE a SET b = NULL; DELETE FROM b; DELETE FROM a');
    const found = await compare(sides.input(['public.a', 'public.b']), quietly);
    expect(found.map(changeOf).map((change) => change.inserts)).toEqual([1, 1]);
  });

  test('row security and missing rights, before anything is planned', async () => {
    const sides = await server.make(`${SHOP} ALTER TABLE items ENABLE ROW LEVEL SECURITY`);
    await query(server.access, `DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'r'`);
    await sides.live('GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader');
    const as = (table: string) => {
      const input = sides.input([table]);
      return compare(
        { ...input, production: { ...input.production, user: 'reader', password: 'r' } },
        quietly,
      );
    };
    await expect(as('public.items')).rejects.toMatchObject({
      type: 'PermissionDenied',
      hint: expect.stringContaining('BYPASSRLS'),
    });
    await expect(as('public.orders')).rejects.toMatchObject({
      type: 'PermissionDenied',
      hint: expect.stringContaining('INSERT'),
    });
    await sides.live('DROP OWNED BY reader; DROP ROLE reader');
  });
});
