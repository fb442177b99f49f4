import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../src/engines/postgres/import/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Imports by this rule: what the plan says of each table has to be what happens. Inserts, updates, deletes, left. */
async function keepsItsPromise(
  sides: Sides,
  conflict: ConflictRule,
  ...tables: string[]
): Promise<[number, number, number, number][]> {
  const plan: ImportInput = { ...(await sides.plan(tables)), conflict };
  const result = await importRows(plan, quietly);
  for (const table of result.tables) {
    const { inserts, updates, deletes } = table;
    expect(table).toMatchObject({ inserted: inserts, updated: updates, deleted: deletes, vanished: 0 });
  }
  expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
  return result.tables.map(({ inserts, updates, deletes, orphans, uniqueClashes }) => [
    inserts,
    updates,
    deletes,
    orphans + uniqueClashes,
  ]);
}

async function noticesOf(sides: Sides, rule: ConflictRule, ...tables: string[]): Promise<string> {
  const found = await compare(sides.input(tables), quietly);
  return found.flatMap((table) => [...table.notices, ...ruleOf(table, rule).notices]).join('\n');
}

describe('rows that exchange unique values while others refer to them', () => {
  const PAIR = (action: string, unique = '') => `
    CREATE TABLE p (id int PRIMARY KEY, u int UNIQUE ${unique}, v text);
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ${action});
    INSERT INTO p SELECT n, n, 'v' FROM generate_series(1, 9) n; INSERT INTO c SELECT n, n FROM generate_series(1, 3) n`;
  const SWAP = `UPDATE p SET u = -u WHERE id IN (1, 2, 8, 9); UPDATE p SET u = 3 - id WHERE id < 3;
    UPDATE p SET u = 17 - id WHERE id > 7; UPDATE p SET v = 'x' WHERE id = 5`;

  test.each(['ON DELETE CASCADE', 'ON DELETE SET NULL', 'ON DELETE RESTRICT'])(
    'stay as they are where %s would act on rows that stay',
    async (action) => {
      const sides = await server.make(PAIR(action));
      await sides.live(SWAP);
      expect(await noticesOf(sides, 'replace', 'public.p')).toContain('a foreign key of public.c acts');
      expect(await keepsItsPromise(sides, 'replace', 'public.p')).toEqual([[0, 3, 0, 2]]);
      expect(await sides.live('SELECT count(p)::int AS n FROM c')).toEqual([{ n: 3 }]);
    },
  );

  test('are set back where the referring rows go in the same change', async () => {
    const sides = await server.make(PAIR('ON DELETE CASCADE'));
    await sides.copy('DELETE FROM c');
    await sides.live(SWAP);
    expect(await keepsItsPromise(sides, 'replace', 'public.c', 'public.p')).toEqual([
      [0, 0, 3, 0],
      [0, 5, 0, 0],
    ]);
  });

  test('stay as they are where the referring rows come in the same change', async () => {
    const sides = await server.make(PAIR('ON DELETE CASCADE'));
    await sides.live(`DELETE FROM c; ${SWAP}`);
    expect(await keepsItsPromise(sides, 'restore-changed', 'public.c', 'public.p')).toEqual([
      [3, 0, 0, 0],
      [0, 3, 0, 2],
    ]);
    expect(await sides.live('SELECT count(*)::int AS n FROM c')).toEqual([{ n: 3 }]);
  });

  test('are set back where the constraint can wait', async () => {
    const sides = await server.make(PAIR('ON DELETE CASCADE', 'DEFERRABLE'));
    await sides.live('BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE p SET u = 3 - id WHERE id < 3; COMMIT');
    expect(await keepsItsPromise(sides, 'replace', 'public.p')).toEqual([[0, 2, 0, 0]]);
    expect(await sides.live('SELECT count(*)::int AS n FROM c')).toEqual([{ n: 3 }]);
  });

  test('the same for an identity that only the server gives', async () => {
    const sides = await server.make(`CREATE TABLE p (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY);
      CREATE TABLE c (p int REFERENCES p ON DELETE CASCADE); INSERT INTO p (id) SELECT generate_series(1, 5); INSERT INTO c VALUES (5)`);
    await sides.live('UPDATE p SET n = DEFAULT WHERE id > 3');
    expect(await keepsItsPromise(sides, 'restore-changed', 'public.p')).toEqual([[0, 1, 0, 1]]);
    expect(await sides.live('SELECT count(*)::int AS n FROM c')).toEqual([{ n: 1 }]);
  });

  test('a row that got such a child since the plan is beyond it', async () => {
    const sides = await server.make(PAIR('ON DELETE CASCADE'));
    await sides.live(`DELETE FROM c; ${SWAP}`);
    const plan: ImportInput = { ...(await sides.plan(['public.p'])), conflict: 'replace' };
    await sides.live('INSERT INTO c VALUES (1, 1)');
    await expect(importRows(plan, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await sides.live('SELECT count(*)::int AS n FROM c')).toEqual([{ n: 1 }]);
  });
});

test('values of a computed column are exchanged like any other', async () => {
  const sides =
    await server.make(`CREATE TABLE t (id int PRIMARY KEY, a int, d int GENERATED ALWAYS AS (a * 2) STORED UNIQUE);
    INSERT INTO t SELECT n, n FROM generate_series(1, 9) n`);
  await sides.live('UPDATE t SET a = -a WHERE id < 4; UPDATE t SET a = 1 + id % 3 WHERE id < 4');
  expect(await keepsItsPromise(sides, 'replace', 'public.t')).toEqual([[0, 3, 0, 0]]);
});

describe('values that are equal and written otherwise', () => {
  test.each([
    ['NO ACTION', 3, 0],
    ['RESTRICT', 1, 2],
    ['CASCADE', 1, 2],
    ['SET NULL', 1, 2],
  ])('a numeric key to which others refer, ON UPDATE %s', async (action, updates, left) => {
    const sides = await server.make(`CREATE TABLE p (id numeric PRIMARY KEY);
      CREATE TABLE c (id int PRIMARY KEY, p numeric REFERENCES p ON UPDATE ${action});
      INSERT INTO p VALUES (1.0), (2.0), (3.0); INSERT INTO c VALUES (1, 1), (2, 2.00)`);
    await sides.live(`BEGIN; ALTER TABLE c DROP CONSTRAINT c_p_fkey; UPDATE p SET id = id::numeric(9, 2);
      ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p ON UPDATE ${action}; COMMIT`);
    expect(await keepsItsPromise(sides, 'replace', 'public.p')).toEqual([[0, updates, 0, left]]);
    expect(await sides.live("SELECT string_agg(p::text, ' ' ORDER BY id) AS all FROM c")).toEqual([
      { all: '1 2.00' },
    ]);
  });

  test('a row stays to which another still refers by a value that is written otherwise', async () => {
    const sides = await server.make(`CREATE TABLE p (id int PRIMARY KEY, code numeric UNIQUE);
      CREATE TABLE c (id int PRIMARY KEY, code numeric REFERENCES p (code) ON DELETE CASCADE);
      INSERT INTO p VALUES (1, 5.0); INSERT INTO c VALUES (1, 5.00)`);
    await sides.live('DELETE FROM p; INSERT INTO p VALUES (2, 5.0); INSERT INTO c VALUES (1, 5)');
    expect(await keepsItsPromise(sides, 'replace', 'public.c', 'public.p')).toEqual([
      [0, 1, 0, 0],
      [0, 0, 0, 2],
    ]);
    expect(await sides.live('SELECT code::text FROM c')).toEqual([{ code: '5.00' }]);
  });

  test('of rows with equal numbers in an index that is new since, one comes', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id int PRIMARY KEY, n numeric); INSERT INTO t VALUES (1, 1.0), (2, 1.00), (3, 1)',
    );
    await sides.live('DELETE FROM t; CREATE UNIQUE INDEX ON t (n)');
    expect(await keepsItsPromise(sides, 'insert-missing', 'public.t')).toEqual([[1, 0, 0, 2]]);
  });

  test('rows that come are no prey of a foreign key either', async () => {
    const sides = await server.make(`CREATE TABLE p (id int PRIMARY KEY, code int UNIQUE);
      CREATE TABLE c (id int PRIMARY KEY, code int REFERENCES p (code) ON DELETE CASCADE ON UPDATE SET NULL);
      INSERT INTO p VALUES (1, 5), (3, 7); INSERT INTO c VALUES (1, 5), (2, 7)`);
    // The holders of both values change: one goes, one gives its value back.
    await sides.live('DELETE FROM p; INSERT INTO p VALUES (2, 5), (3, 9), (4, 7)');
    expect(await keepsItsPromise(sides, 'replace', 'public.c', 'public.p')).toEqual([
      [2, 0, 0, 0],
      [0, 0, 0, 4],
    ]);
    expect(await sides.live('SELECT id, code FROM c ORDER BY 1')).toEqual([
      { id: 1, code: 5 },
      { id: 2, code: 7 },
    ]);
  });
});

describe('what production refuses since', () => {
  const MADE = `CREATE TABLE t (id int PRIMARY KEY, a int, b text, CHECK (b <> 'never'));
    CREATE TABLE c (t int REFERENCES t);
    INSERT INTO t SELECT n, nullif(n, 3), 'b' || n FROM generate_series(1, 9) n; INSERT INTO c VALUES (3), (4), (5)`;

  test('rows without a value for what is NOT NULL, or against a new CHECK, stay away with those that refer to them', async () => {
    const sides = await server.make(MADE);
    await sides.live(`DELETE FROM c; DELETE FROM t WHERE id < 6; UPDATE t SET b = 'x' WHERE id > 7;
      ALTER TABLE t ALTER a SET NOT NULL, ADD CONSTRAINT "not; 4" CHECK (a <> 4 AND b <> 'b9') NOT VALID`);
    const said = await noticesOf(sides, 'replace', 'public.t');
    expect(said).toContain('1 row of the restored copy would break NOT NULL of column a');
    expect(said).toContain('2 rows of the restored copy would break constraint not; 4');
    expect(await keepsItsPromise(sides, 'replace', 'public.t')).toEqual([[3, 1, 0, 0]]);
    await sides.live('DELETE FROM t WHERE id = 5; ALTER TABLE c ADD id int PRIMARY KEY');
    await sides.copy('ALTER TABLE c ADD id serial PRIMARY KEY');
    expect(await keepsItsPromise(sides, 'insert-missing', 'public.c', 'public.t')).toEqual([
      [1, 0, 0, 2],
      [1, 0, 0, 0],
    ]);
  });

  test('values that are too long or too large for a type of now stay away', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id bigint PRIMARY KEY, a text, n numeric, m bigint, f text);
      INSERT INTO t SELECT n, 'a', n, n, 'red' FROM generate_series(1, 9) n;
      UPDATE t SET a = 'abcd' WHERE id = 1; UPDATE t SET a = 'abc   ' WHERE id = 2; UPDATE t SET n = 2.5 WHERE id = 3;
      UPDATE t SET m = 1e12 WHERE id IN (1, 4)`);
    await sides.live(`DELETE FROM t WHERE id < 6; ALTER TABLE t ALTER a TYPE varchar(3), ALTER n TYPE int, ALTER m TYPE int;
      UPDATE t SET m = 0 WHERE id = 9`);
    expect(await noticesOf(sides, 'replace', 'public.t')).toMatch(
      /1 row .* the type character varying\(3\) of column a, [\s\S]*1 row .* the type integer of column n, [\s\S]*1 row .* of column m/,
    );
    expect(await keepsItsPromise(sides, 'replace', 'public.t')).toEqual([[2, 1, 0, 0]]);
    await sides.live('ALTER TABLE t ALTER f TYPE date USING NULL');
    expect(await noticesOf(sides, 'replace', 'public.t')).toContain('does not fit the type');
  });

  test('a CHECK over what the restored copy lacks is named', async () => {
    const sides = await server.make(MADE);
    await sides.live(`CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
      ALTER TABLE t ADD n int DEFAULT 1 CHECK (n > 0), ADD CONSTRAINT odd CHECK (fine(a))`);
    const said = await noticesOf(sides, 'insert-missing', 'public.t');
    expect(said).toMatch(/constraint odd is new since[\s\S]*constraint t_n_check is new since/);
  });

  test('a table whose parent is gone with it comes back with that only', async () => {
    const sides = await server.make(`CREATE TABLE "the base" (a int PRIMARY KEY);
      CREATE TABLE child (b int) INHERITS ("the base"); INSERT INTO child VALUES (1, 2)`);
    await sides.live('DROP TABLE child, "the base"');
    const [alone] = await compare(sides.input(['public.child']), quietly);
    expect(alone?.rules.map(({ refusal }) => refusal?.split(';')[0] ?? null)).toEqual([
      ...Array(3).fill('public.child is a part of public."the base", which is gone in production too'),
      null,
    ]);
    await keepsItsPromise(sides, 'replace', 'public."the base"', 'public.child');
    expect(await sides.live('SELECT a FROM "the base"')).toEqual([{ a: 1 }]);
  });
});

test('a plan says who waits, and what becomes of rows that change once more', async () => {
  const sides = await server.make(
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' FROM generate_series(1, 9) n",
  );
  await sides.live("UPDATE t SET v = 'x' WHERE id = 1");
  expect(await noticesOf(sides, 'insert-missing', 'public.t')).toBe('');
  expect(await noticesOf(sides, 'restore-changed', 'public.t')).toMatch(
    /waits while.*\n.*set back all the same/,
  );
  expect(await noticesOf(sides, 'replace', 'public.t')).toMatch(
    /reads the whole table again \(9 rows.*\n.*set back or deleted all the same/,
  );
});

test('a comparison takes the place of the one before', async () => {
  const sides = await server.make('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  await compare(sides.input(['public.t']), quietly);
  const [found] = await compare(sides.input(['public.t']), quietly);
  const kept = await readdir(join(sides.directory, 'compare'));
  expect(kept.map((name) => join(sides.directory, 'compare', name, '0'))).toEqual([found?.keysFolder]);
});

test('an unlogged table, of which a recovered copy has no row, is not taken for an emptied one', async () => {
  const sides = await server.make(
    'CREATE UNLOGGED TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)',
  );
  await sides.live('DELETE FROM t WHERE id = 1');
  const [fromDump] = await compare(sides.input(['public.t']), quietly);
  expect(fromDump?.rules[0]?.change.inserts).toBe(1);
  await sides.copy('DELETE FROM t');
  await expect(compare(sides.input(['public.t']), quietly)).rejects.toMatchObject({
    type: 'NotSupported',
    message: 'public.t is unlogged: its rows are in no physical backup',
  });
});
