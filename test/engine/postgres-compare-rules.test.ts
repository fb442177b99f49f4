import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableComparison } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Inserts, updates, deletes, orphans, clashes. */
type Effects = [number, number, number, number, number];

function effectsOf(found: TableComparison, rule: ConflictRule): Effects {
  const { inserts, updates, deletes, orphans, uniqueClashes } = ruleOf(found, rule).change;
  return [inserts, updates, deletes, orphans, uniqueClashes];
}

async function effects(sides: Sides, ...tables: string[]): Promise<Record<ConflictRule, Effects>[]> {
  const found = await compare(sides.input(tables), quietly);
  return found.map((table) => ({
    'insert-missing': effectsOf(table, 'insert-missing'),
    'restore-changed': effectsOf(table, 'restore-changed'),
    replace: effectsOf(table, 'replace'),
    'side-by-side': effectsOf(table, 'side-by-side'),
  }));
}

describe('the effects of each rule', () => {
  test('rows deleted, changed and new', async () => {
    const sides = await server.make(`CREATE TABLE t (id int PRIMARY KEY, v text, n numeric);
      INSERT INTO t SELECT n, 'v' || n, n FROM generate_series(1, 1000) n`);
    await sides.live(`DELETE FROM t WHERE id % 10 = 0; UPDATE t SET v = 'x' WHERE id % 10 = 1;
      INSERT INTO t SELECT n, 'new', 1 FROM generate_series(2001, 2030) n`);
    expect(await effects(sides, 'public.t')).toEqual([
      {
        'insert-missing': [100, 0, 0, 0, 0],
        'restore-changed': [100, 100, 0, 0, 0],
        replace: [100, 100, 30, 0, 0],
        'side-by-side': [1000, 0, 0, 0, 0],
      },
    ]);
  });

  test('values that PostgreSQL calls equal are different where their texts are', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int PRIMARY KEY, n numeric, f float8, c bpchar, j jsonb, e int[]);
      INSERT INTO t SELECT n, 1.0, 0, 'a', '{"a": 1.0}', '{1}' FROM generate_series(1, 8) n`);
    await sides.live(`UPDATE t SET n = 1.00 WHERE id = 1; UPDATE t SET f = '-0' WHERE id = 2; UPDATE t SET c = 'a  ' WHERE id = 3;
      UPDATE t SET j = '{"a": 1.00}' WHERE id = 4; UPDATE t SET e = '[0:0]={1}' WHERE id = 5; UPDATE t SET n = 1.0 WHERE id = 6`);
    const [found] = await effects(sides, 'public.t');
    expect(found?.['restore-changed']).toEqual([0, 5, 0, 0, 0]);
  });

  test('unique values that were swapped among rows hinder nobody; those that stay do', async () => {
    const sides = await server.make(`CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, x text);
      INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 20) n`);
    await sides.live(`DELETE FROM t WHERE id = 20; UPDATE t SET u = -u WHERE id <= 6; UPDATE t SET u = 7 - id WHERE id <= 6;
      INSERT INTO t VALUES (100, 20, 'new')`);
    expect(await effects(sides, 'public.t')).toEqual([
      {
        'insert-missing': [0, 0, 0, 0, 1],
        'restore-changed': [0, 6, 0, 0, 1],
        replace: [1, 6, 1, 0, 0],
        'side-by-side': [20, 0, 0, 0, 0],
      },
    ]);
  });

  test('a row left alone takes along all that wanted its values, one by one', async () => {
    const sides = await server.make(`CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE);
      INSERT INTO t SELECT n, n FROM generate_series(1, 50) n`);
    // Every row holds what the one before it had, the last what a new row holds: nothing can go back.
    await sides.live(
      `UPDATE t SET u = u + 1000; UPDATE t SET u = id + 1 WHERE id < 50; INSERT INTO t VALUES (51, 1)`,
    );
    const [found] = await effects(sides, 'public.t');
    expect(found?.['restore-changed']).toEqual([0, 0, 0, 0, 50]);
    expect(found?.replace).toEqual([0, 50, 1, 0, 0]);
  });

  test('an exclusion constraint counts like a unique key', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&));
      INSERT INTO t SELECT n, int4range(n * 10, n * 10 + 10) FROM generate_series(1, 20) n`);
    await sides.live(`DELETE FROM t WHERE id <= 3; INSERT INTO t VALUES (100, '[15,25)');
      UPDATE t SET r = '[300,310)' WHERE id = 5`);
    const [found] = await effects(sides, 'public.t');
    expect(found?.['insert-missing']).toEqual([1, 0, 0, 0, 2]);
    expect(found?.['restore-changed']).toEqual([1, 1, 0, 0, 2]);
    expect(found?.replace).toEqual([3, 1, 1, 0, 0]);
  });

  test('rows of an index that is new since: all but one with the same value stay away', async () => {
    const sides = await server.make(
      `CREATE TABLE t (id int PRIMARY KEY, u int); INSERT INTO t SELECT n, n % 5 FROM generate_series(1, 20) n`,
    );
    await sides.live('DELETE FROM t; CREATE UNIQUE INDEX ON t (u)');
    const [found] = await effects(sides, 'public.t');
    expect(found?.['insert-missing']).toEqual([5, 0, 0, 0, 15]);
  });
});

describe('references', () => {
  const FAMILY = `CREATE TABLE p (id int PRIMARY KEY, v text, code int UNIQUE);
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);
    CREATE TABLE d (id int PRIMARY KEY, code int REFERENCES p (code) ON UPDATE CASCADE);
    INSERT INTO p SELECT n, 'v', n FROM generate_series(1, 10) n; INSERT INTO c SELECT n, n FROM generate_series(1, 5) n`;

  test('rows to which others refer are not deleted, whatever the foreign key would do to these', async () => {
    const sides = await server.make(FAMILY);
    await sides.live(`INSERT INTO p SELECT n, 'new', n FROM generate_series(101, 110) n;
      INSERT INTO c SELECT n, n FROM generate_series(101, 104) n`);
    const [found] = await compare(sides.input(['public.p']), quietly);
    expect(effectsOf(found as TableComparison, 'replace')).toEqual([0, 0, 6, 4, 0]);
    expect(ruleOf(found as TableComparison, 'replace').notices.join()).toContain('public.c still refers');
    // Together with their children they all go.
    const both = await effects(sides, 'public.c', 'public.p');
    expect(both.map((rules) => rules.replace)).toEqual([
      [0, 0, 4, 0, 0],
      [0, 0, 10, 0, 0],
    ]);
  });

  test('a value to which others refer is not changed', async () => {
    const sides = await server.make(FAMILY);
    await sides.live(
      `UPDATE p SET code = code + 100 WHERE id <= 4; INSERT INTO d VALUES (1, 101), (2, 102); UPDATE p SET v = 'x' WHERE id = 8`,
    );
    const [alone] = await effects(sides, 'public.p');
    expect(alone?.['restore-changed']).toEqual([0, 3, 0, 2, 0]);
    const [d, p] = await effects(sides, 'public.d', 'public.p');
    expect([d?.replace, p?.replace]).toEqual([
      [0, 0, 2, 0, 0],
      [0, 5, 0, 0, 0],
    ]);
  });

  test('among the rows of one table, down to the last', async () => {
    const sides =
      await server.make(`CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree, u int UNIQUE);
      INSERT INTO tree SELECT n, nullif(n / 2, 0), n FROM generate_series(1, 63) n`);
    await sides.live(
      `DELETE FROM tree WHERE id > 3; INSERT INTO tree VALUES (1000, 1, 4), (1001, 1000, NULL), (1002, 1001, NULL)`,
    );
    const [found] = await effects(sides, 'public.tree');
    // 4 clashes, and all below it are orphans: 8, 9, 16 to 19, 32 to 39.
    expect(found?.['insert-missing']).toEqual([45, 0, 0, 14, 1]);
    expect(found?.replace).toEqual([60, 0, 3, 0, 0]);
    await sides.live('CREATE TABLE o (t int REFERENCES tree); INSERT INTO o VALUES (1002)');
    const [kept] = await effects(sides, 'public.tree');
    expect(kept?.replace).toEqual([45, 0, 0, 17, 1]);
  });

  test('in a circle of tables, what one table leaves alone the others judged before it learn', async () => {
    const sides = await server.make(`CREATE TABLE a (id int PRIMARY KEY, b int);
      CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, u int UNIQUE);
      ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
      INSERT INTO a SELECT n FROM generate_series(1, 20) n; INSERT INTO b SELECT n, n, n FROM generate_series(1, 20) n;
      UPDATE a SET b = 1 + id % 20`);
    await sides.live(
      `UPDATE a SET b = NULL; DELETE FROM b; DELETE FROM a; INSERT INTO b VALUES (100, NULL, 7)`,
    );
    const [a, b] = await effects(sides, 'public.a', 'public.b');
    // One clash, and the circle goes through all.
    expect([a?.['insert-missing'], b?.['insert-missing']]).toEqual([
      [0, 0, 0, 20, 0],
      [0, 0, 0, 19, 1],
    ]);
    expect([a?.replace, b?.replace]).toEqual([
      [20, 0, 0, 0, 0],
      [20, 0, 1, 0, 0],
    ]);
  });
});

describe('tables of every kind', () => {
  test('without a key: equal rows are counted, and only replace and side-by-side can be chosen', async () => {
    const sides = await server.make(`CREATE TABLE t (a int, b text, c numeric);
      INSERT INTO t SELECT n % 10, 'x', 1.0 FROM generate_series(1, 100) n; INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, NULL, NULL)`);
    await sides.live(`DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = 3 LIMIT 4); DELETE FROM t WHERE a IS NULL;
      INSERT INTO t VALUES (5, 'x', 1.0), (5, 'x', 1.00), (77, 'new', 1)`);
    const [found] = await compare(sides.input(['public.t']), quietly);
    expect(effectsOf(found as TableComparison, 'replace')).toEqual([6, 0, 3, 0, 0]);
    expect(effectsOf(found as TableComparison, 'side-by-side')).toEqual([102, 0, 0, 0, 0]);
    const refusals = found?.rules.map(({ refusal }) => refusal !== null);
    expect(refusals).toEqual([true, true, false, false]);
    expect(found?.rules[0]?.refusal).toContain('cannot be told apart without a key');
  });

  test('without a key, with references and unique values', async () => {
    const sides =
      await server.make(`CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT generate_series(1, 10);
      CREATE TABLE t (p int REFERENCES p, u int UNIQUE); INSERT INTO t SELECT n, n FROM generate_series(1, 10) n;
      CREATE TABLE o (u int REFERENCES t (u))`);
    await sides.live(`DELETE FROM t WHERE u <= 5; DELETE FROM p WHERE id = 1; INSERT INTO t VALUES (2, 3), (2, 4), (2, 100), (2, 101);
      INSERT INTO o VALUES (4), (100)`);
    const [found] = await effects(sides, 'public.t');
    // 1 has no parent, o refers to 100; the value 4 is taken over by the row that comes back.
    expect(found?.replace).toEqual([4, 0, 3, 2, 0]);
  });

  test('a key column that changed its type, and types that changed in other columns', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int PRIMARY KEY, a text, b int, c varchar(20), d timestamp, e numeric(10, 2), f text, g int);
      INSERT INTO t SELECT n, n::text, n, 'c' || n, '2026-01-01'::timestamp + n * interval '1 h', n, 'red', n FROM generate_series(1, 20) n;
      CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE colour AS ENUM ('red', 'blue');`);
    await sides.live(`ALTER TABLE t ALTER a TYPE int USING a::int, ALTER b TYPE text, ALTER c TYPE text, ALTER d TYPE timestamptz USING d AT TIME ZONE 'UTC',
      ALTER e TYPE numeric(12, 4), ALTER f TYPE colour USING f::colour, ALTER g TYPE positive; UPDATE t SET b = '1000' WHERE id = 7`);
    const [found] = await effects(sides, 'public.t');
    expect(found?.['restore-changed']).toEqual([0, 1, 0, 0, 0]);
    await sides.copy(`UPDATE t SET a = 'no number' WHERE id = 9`);
    const [texts] = await effects(sides, 'public.t');
    // Compared by their texts now: 1.00 and 1.0000 are not the same.
    expect(texts?.['restore-changed'][1]).toBe(20);
    await sides.live('ALTER TABLE t ALTER id TYPE text');
    const [other] = await compare(sides.input(['public.t']), quietly);
    expect(other?.rules[0]?.refusal).toContain('key column');
  });

  test('one that is gone comes back whole, without those rows that have no parent any more', async () => {
    const sides =
      await server.make(`CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p, up int REFERENCES t);
      CREATE TABLE c (id int PRIMARY KEY, t int CONSTRAINT "c;t" REFERENCES t ON DELETE CASCADE);
      INSERT INTO p SELECT generate_series(1, 10); INSERT INTO t SELECT n, n, CASE WHEN n > 5 THEN n - 5 END FROM generate_series(1, 10) n;`);
    await sides.live('DROP TABLE t CASCADE; DELETE FROM p WHERE id = 2');
    const [found] = await compare(sides.input(['public.t']), quietly);
    for (const rule of ['insert-missing', 'restore-changed', 'replace'] as const) {
      expect(effectsOf(found as TableComparison, rule)).toEqual([8, 0, 0, 2, 0]);
    }
    expect(effectsOf(found as TableComparison, 'side-by-side')).toEqual([10, 0, 0, 0, 0]);
    expect(found?.notices.join('\n')).toContain(
      'ALTER TABLE "public"."c" ADD CONSTRAINT "c;t" FOREIGN KEY (t) REFERENCES public.t(id) ON DELETE CASCADE',
    );
    await sides.live('DROP TABLE p, c');
    const [alone] = await compare(sides.input(['public.t']), quietly);
    expect(alone?.rules.map(({ refusal }) => refusal !== null)).toEqual([true, true, true, false]);
    const both = await effects(sides, 'public.p', 'public.t');
    expect(both.map((rules) => rules.replace)).toEqual([
      [10, 0, 0, 0, 0],
      [10, 0, 0, 0, 0],
    ]);
  });

  test('names of every kind, and what the copy beside is called', async () => {
    const long = 'ö'.repeat(31);
    const names = ['"; DROP TABLE x; --', "it's", 'Größe\u{1F600}', long, 'select'];
    const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
    const sides = await server.make(
      names
        .map(
          (name) => `CREATE TABLE ${quote(name)} (${quote(name)} int PRIMARY KEY, v int);
          INSERT INTO ${quote(name)} SELECT n, n FROM generate_series(1, 5) n;`,
        )
        .join('\n'),
    );
    await sides.live(
      names.map((name) => `UPDATE ${quote(name)} SET v = 0 WHERE ${quote(name)} = 1;`).join('\n'),
    );
    const found = await compare(sides.input(names.map((name) => `public.${quote(name)}`)), quietly);
    expect(found.map((table) => effectsOf(table, 'restore-changed'))).toEqual(
      names.map(() => [0, 1, 0, 0, 0]),
    );
    const notices = found.flatMap((table) => ruleOf(table, 'side-by-side').notices).join('\n');
    expect(notices).toContain(`${'ö'.repeat(24)}_restored_copy`);
    expect(notices).not.toContain(`${'ö'.repeat(25)}_restored_copy`);
  });

  test('rules on the table, large objects, parts of others, and a name that is taken', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int PRIMARY KEY, blob oid) ; CREATE TABLE u (LIKE t INCLUDING ALL) INHERITS (t);
      SELECT lo_create(0); CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING; CREATE TABLE t_restored_copy ()`);
    const [t, u] = await compare(sides.input(['public.t', 'public.u']), quietly);
    expect(t?.rules.map(({ refusal }) => refusal)).toEqual([
      null,
      null,
      expect.stringContaining('rewrites deletes'),
      expect.stringContaining('t_restored_copy already'),
    ]);
    expect(t?.notices.join()).toMatch(/inherit from it.*large objects/);
    expect(u?.notices.join()).toContain('is a part of public.t');
  });

  test('a partition that is gone: its rows have no place, which is said', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int, at date, v text, n int, PRIMARY KEY (id, at, v)) PARTITION BY RANGE (at);
      CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
      CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (v);
      CREATE TABLE t2a PARTITION OF t2 FOR VALUES IN ('a'); CREATE TABLE t2b PARTITION OF t2 DEFAULT;
      INSERT INTO t SELECT n, '2026-01-01'::date + n, CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END, n FROM generate_series(0, 50) n`);
    await sides.live(`DELETE FROM t WHERE id < 10; UPDATE t SET n = 1 WHERE id IN (11, 49)`);
    const [whole] = await effects(sides, 'public.t');
    expect(whole?.replace).toEqual([10, 2, 0, 0, 0]);
    await sides.live('DROP TABLE t2a');
    const [found] = await compare(sides.input(['public.t']), quietly);
    // The default partition takes what t2a had.
    expect(found?.rules.map(({ refusal }) => refusal)).toEqual([null, null, null, null]);
    await sides.live('DROP TABLE t2');
    const [gone] = await compare(sides.input(['public.t']), quietly);
    expect(gone?.rules.map(({ refusal }) => refusal !== null)).toEqual([true, true, true, false]);
    expect(gone?.rules[0]?.refusal).toContain('public.t2a, public.t2b of then is gone');
  });

  test('partitions by hash, of a table that was made again: it has another number by now', async () => {
    const table = `CREATE TABLE h (id int PRIMARY KEY, n int) PARTITION BY HASH (id);
      CREATE TABLE h0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1)`;
    const sides = await server.make(`${table}; INSERT INTO h SELECT n, n FROM generate_series(1, 50) n`);
    await sides.live(`DROP TABLE h; ${table}; INSERT INTO h SELECT n, 0 FROM generate_series(1, 20) n`);
    const [again] = await effects(sides, 'public.h');
    expect(again?.replace).toEqual([30, 20, 0, 0, 0]);
  });

  test('one without a column in common', async () => {
    const sides = await server.make('CREATE TABLE t (a int); INSERT INTO t VALUES (1)');
    await sides.live('ALTER TABLE t RENAME a TO b');
    const [found] = await compare(sides.input(['public.t']), quietly);
    expect(found?.rules.map(({ refusal }) => refusal !== null)).toEqual([true, true, true, false]);
  });
});
