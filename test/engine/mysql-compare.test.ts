import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableComparison } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import { CONFLICT_RULES } from '../../src/model/plan.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';

/** Per rule `inserts/updates/deletes/orphans/clashes`, or its refusal. */
function effects(comparison: TableComparison | undefined): Record<string, string> {
  return Object.fromEntries(
    CONFLICT_RULES.map((rule) => {
      const { change, refusal } = ruleOf(comparison as TableComparison, rule);
      const { inserts, updates, deletes, orphans, uniqueClashes } = change;
      return [rule, refusal ?? [inserts, updates, deletes, orphans, uniqueClashes].join('/')];
    }),
  );
}

describe.each(SERIES)('compare on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  const run = (sides: Sides, ...tables: string[]) => compare(sides.input(tables), quietly);

  test('what is missing, changed and extra, exactly', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id int PRIMARY KEY, v varchar(20))',
      "INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c'),(4,NULL),(5,'e')",
    );
    await sides.live(
      'DELETE FROM t WHERE id <= 2',
      "UPDATE t SET v = '' WHERE id = 4",
      "INSERT INTO t VALUES (9,'n')",
    );
    const [found] = await run(sides, 't');
    expect(effects(found)).toEqual({
      'insert-missing': '2/0/0/0/0',
      'restore-changed': '2/1/0/0/0',
      replace: '2/1/1/0/0',
      'side-by-side': '5/0/0/0/0',
    });
    expect(found?.table).toBe(`${sides.db}.t`);
    const [again] = await run(sides, 't');
    expect(again?.rules).toEqual(found?.rules);
    expect(
      await server.instance.query(
        "SELECT COUNT(*) AS n FROM information_schema.schemata WHERE schema_name LIKE 'holdfast%'",
      ),
    ).toMatchObject([{ n: expect.anything() }]);
    await sides.live('DELETE FROM t WHERE id = 3');
    const [other] = await run(sides, 't');
    expect(ruleOf(other as TableComparison, 'insert-missing').keysSha256).not.toBe(
      ruleOf(found as TableComparison, 'insert-missing').keysSha256,
    );
  });

  test('rows left alone: what they refer to, and what refers to them, in one table and in several', async () => {
    const sides = await server.make(
      'CREATE TABLE a (id int PRIMARY KEY, code varchar(5) UNIQUE)',
      'CREATE TABLE b (id int PRIMARY KEY, a int, boss int, FOREIGN KEY (a) REFERENCES a (id), FOREIGN KEY (boss) REFERENCES b (id) ON DELETE CASCADE)',
      'CREATE TABLE d (id int PRIMARY KEY, code varchar(5), FOREIGN KEY (code) REFERENCES a (code) ON UPDATE CASCADE)',
      "INSERT INTO a VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')",
      'INSERT INTO b VALUES (1, 1, NULL), (2, 2, 1), (3, 2, 2), (4, NULL, 3)',
      "INSERT INTO d VALUES (1, 'four')",
    );
    await sides.live(
      'DELETE FROM b WHERE id >= 2',
      'DELETE FROM a WHERE id = 2',
      "UPDATE a SET code = 'x' WHERE id = 4",
      "INSERT INTO a VALUES (9, 'two'), (10, 'ten')",
      "INSERT INTO d VALUES (2, 'TEN')",
    );
    // Its parent's unique value is taken, so row 2 of a stays away, and with it rows 2, 3 and 4 of b.
    const [a, b] = await run(sides, 'a', 'b');
    expect([effects(a)['insert-missing'], effects(b)['insert-missing']]).toEqual(['0/0/0/0/1', '0/0/0/3/0']);
    // Under replace row 9 goes and makes room; row 10 stays for d, whatever the case of its letters; row 4 too.
    expect([effects(a)['restore-changed'], effects(a).replace]).toEqual(['0/0/0/1/1', '1/0/1/2/0']);
    expect(effects(b).replace).toBe('3/0/0/0/0');
    expect(a?.notices.join()).not.toContain('may have');
    // Once d comes too, its rows do as well.
    const all = await run(sides, 'a', 'b', 'd');
    expect(all.map((found) => effects(found).replace)).toEqual(['1/1/2/0/0', '3/0/0/0/0', '0/1/1/0/0']);
  });

  test('a unique index and constraints that are new since', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id int PRIMARY KEY, u int, v varchar(9), w text)',
      "INSERT INTO t VALUES (1, 1, 'a', 'abcdef'), (2, 1, 'b', 'abcxyz'), (3, 3, NULL, 'q'), (4, 4, 'it''s', 'r'), (5, 5, 'e', 's')",
    );
    await sides.live(
      'DELETE FROM t',
      "ALTER TABLE t ADD UNIQUE KEY (u), ADD UNIQUE KEY (w(3)), MODIFY v varchar(9) NOT NULL, ADD CONSTRAINT quoted CHECK (v <> 'it''s')",
    );
    const [found] = await run(sides, 't');
    expect(effects(found)['insert-missing']).toBe('2/0/0/0/1');
    expect(ruleOf(found as TableComparison, 'insert-missing').notices).toEqual([
      expect.stringMatching(
        /2 rows of the restored copy would break NOT NULL of column v or check quoted, which is new/,
      ),
    ]);
  });

  test('production is asked for the rows that decide something, by their values, and not for all', async () => {
    const sides = await server.make(
      `CREATE TABLE p (id int PRIMARY KEY, kind enum('x', 'y') NOT NULL, n int NOT NULL, code varchar(20) COLLATE utf8mb4_general_ci UNIQUE,
         UNIQUE KEY (kind, n))`,
      "CREATE TABLE c (id int PRIMARY KEY, kind enum('x', 'y'), n int, FOREIGN KEY (kind, n) REFERENCES p (kind, n))",
      'CREATE TABLE n (n int)',
      'INSERT INTO n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)',
      "INSERT INTO p SELECT a.n * 100 + b.n * 10 + c.n, IF(c.n % 2 = 0, 'x', 'y'), a.n * 100 + b.n * 10 + c.n, CONCAT('code ', a.n, b.n, c.n) FROM n a, n b, n c",
      'INSERT INTO c SELECT id, kind, n FROM p',
    );
    await sides.live(
      'DELETE FROM c WHERE id < 10',
      'DELETE FROM p WHERE id < 3',
      // Whoever has the values of a row that comes, in other letters.
      "INSERT INTO p VALUES (2000, 'x', 2000, 'CODE 001'), (2001, 'y', 2001, 'other'), (2002, 'x', 2, 'third')",
      "INSERT INTO c VALUES (3000, 'y', 2001)",
    );
    const found = await run(sides, 'p', 'c');
    const [c, p] = found;
    // Row 1 of p clashes in its code, row 2 in its numbers, and theirs in c are orphans; what comes of c has parents else.
    expect([effects(p)['insert-missing'], effects(c)['insert-missing']]).toEqual(['1/0/0/0/2', '9/0/0/1/0']);
    expect([effects(p).replace, effects(c).replace]).toEqual(['3/0/3/0/0', '10/0/1/0/0']);
    const schema = p?.keysFolder.split('/')[0];
    const [live] = await server.instance.query(
      `SELECT (SELECT COUNT(*) FROM ${schema}.live_0) AS c, (SELECT COUNT(*) FROM ${schema}.live_1) AS p`,
    );
    // Of c the one whose parent goes; of p the seven parents that are there, and the three rows that go.
    expect(live).toEqual({ c: '1', p: '10' });
  });

  test('who else holds a value that rows bring along, or give up', async () => {
    const sides = await server.make(
      'CREATE TABLE u (id int PRIMARY KEY, mail varchar(20) COLLATE utf8mb4_general_ci UNIQUE)',
      'CREATE TABLE p (id int PRIMARY KEY, code int, KEY (code))',
      'CREATE TABLE c (id int PRIMARY KEY, code int, FOREIGN KEY (code) REFERENCES p (code))',
      "INSERT INTO u VALUES (1, 'a@b'), (2, NULL), (3, 'c@d')",
      'INSERT INTO p VALUES (1, 7), (2, 8)',
      'INSERT INTO c VALUES (1, 7)',
    );
    await sides.live(
      'DELETE FROM u',
      "INSERT INTO u VALUES (9, 'A@B')",
      'INSERT INTO p VALUES (9, 7), (10, 10)',
      'INSERT INTO c VALUES (2, 10)',
    );
    const [u] = await run(sides, 'u');
    expect([effects(u)['insert-missing'], effects(u).replace]).toEqual(['2/0/0/0/1', '3/0/1/0/0']);
    // Row 1 of p goes on to serve what row 9 has served; nobody does it for row 10.
    expect(effects((await run(sides, 'p'))[0]).replace).toBe('0/0/1/1/0');
  });

  test('tables of several dbs, and names that mean none', async () => {
    const [one, two] = [
      await server.make('CREATE TABLE t (id int PRIMARY KEY)', 'INSERT INTO t VALUES (1)'),
      await server.make(
        'CREATE TABLE t (id int PRIMARY KEY)',
        'CREATE VIEW v AS SELECT 1 AS one',
        'INSERT INTO t VALUES (2)',
      ),
    ];
    await one.live('DELETE FROM t');
    await two.live('DELETE FROM t');
    const found = await run(one, `${two.db}.t`, 't');
    expect(found.map(({ table }) => table)).toEqual([`${one.db}.t`, `${two.db}.t`]);
    expect(found.map((comparison) => effects(comparison)['insert-missing'])).toEqual([
      '1/0/0/0/0',
      '1/0/0/0/0',
    ]);
    await expect(run(two, 'nothing')).rejects.toMatchObject({
      type: 'UnknownTable',
      message: expect.stringContaining('there is no table'),
    });
    await expect(run(two, 'v')).rejects.toMatchObject({ type: 'UnknownTable' });
    await two.live('CREATE TABLE new (id int PRIMARY KEY)');
    await expect(run(two, 'new')).rejects.toMatchObject({
      message: expect.stringContaining('the restored copy has no table'),
    });
  });

  test('comparisons that travel through a history are small, and what they were made from is replaced', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id int PRIMARY KEY)',
      'CREATE TABLE n (n int)',
      'INSERT INTO n VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)',
      'INSERT INTO t SELECT a.n * 1000 + b.n * 100 + c.n * 10 + d.n FROM n a, n b, n c, n d',
    );
    await sides.live('DELETE FROM t');
    const first = await run(sides, 't');
    expect(effects(first[0])['insert-missing']).toBe('10000/0/0/0/0');
    expect(JSON.stringify(first).length).toBeLessThan(4_000);
    const second = await run(sides, 't');
    const dbs = await server.instance.query<{ name: string }>(
      "SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE 'holdfast%'",
    );
    expect(dbs.map(({ name }) => name)).toEqual([second[0]?.keysFolder.split('/')[0]]);
    expect(await server.production.query("SHOW DATABASES LIKE 'holdfast%'")).toEqual([]);
  });
});
