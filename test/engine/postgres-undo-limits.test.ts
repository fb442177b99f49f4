import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { verifyUndo } from '../../src/engines/postgres/undo/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { UndoRule } from '../../src/model/plan.ts';
import { openSession, quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import { type ImportedByHand, importByHand, plannedUndo } from './postgres-undo-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const TABLE = `CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, n FROM generate_series(1, 10) n`;
const CHANGE = {
  'public.t': {
    key: ['id'],
    columns: ['id', 'n'],
    inserted: 'SELECT id FROM t WHERE id > 10',
    replaced: `SELECT CASE WHEN id < 4 THEN 'u' ELSE 'd' END, id, n FROM t WHERE id < 7`,
  },
};
const IMPORT =
  'INSERT INTO t VALUES (11, 1), (12, 1); UPDATE t SET n = 0 WHERE id < 4; DELETE FROM t WHERE id BETWEEN 4 AND 6';

test('the same plan of what others have changed is the same whenever it is made', async () => {
  const sides = await server.make(TABLE);
  const by = await importByHand(sides, CHANGE, IMPORT);
  await sides.live('UPDATE t SET n = 7 WHERE id = 11');
  const [first, second] = [
    await plannedUndo(sides, by.record, by.read),
    await plannedUndo(sides, by.record, by.read),
  ];
  expect(first.undo.folder).not.toBe(second.undo.folder);
  expect(second.comparisons).toEqual(first.comparisons);
  expect(first.comparisons[0]?.notices[0]).toContain('undo/shop/x/data/');
});

describe('verifying an undo', () => {
  const verified = (by: ImportedByHand, transaction: string, conflict: UndoRule = 'keep-changed') => {
    const { production, record, read } = by.input();
    return verifyUndo({ production, record, read, transaction, conflict }, quietly);
  };
  const DIFFERENT = /^2 rows that the undo wrote not as before the import$/;

  test('judges the rows that the undo wrote last, and no others', async () => {
    const sides = await server.make(TABLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    expect(await verified(by, '1')).toMatchObject([{ verdict: 'fail', detail: '8 rows not taken back' }]);
    const { transaction } = await undo(await plannedUndo(sides, by.record, by.read), quietly);
    expect(await verified(by, transaction)).toMatchObject([{ verdict: 'pass' }]);

    // As an undo would that wrote one row wrong and left one that was to go.
    const wrong = 'UPDATE t SET n = 99 WHERE id = 5; INSERT INTO t VALUES (11, 1)';
    const session = await openSession(sides.production);
    await session.query(`BEGIN; ${wrong}`);
    const { rows } = await session.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
    await session.query('COMMIT');
    await session.end();
    expect(await verified(by, rows[0]?.id as string)).toMatchObject([
      { name: 'undo of public.t', verdict: 'fail', detail: expect.stringMatching(DIFFERENT) },
    ]);
    expect(await verified(by, transaction)).toMatchObject([{ verdict: 'pass' }]);
  });

  test('finds a table that was to be dropped', async () => {
    const sides = await server.make(TABLE);
    const copy = { 'public.t': { created: 'public.copy', key: ['id'], columns: ['id'], count: 10 } };
    const by = await importByHand(sides, copy, 'CREATE TABLE copy AS SELECT * FROM t');
    await sides.live('UPDATE copy SET n = 0 WHERE id = 1');
    expect(await verified(by, '1')).toMatchObject([{ verdict: 'pass' }]);
    expect(await verified(by, '1', 'overwrite-changed')).toMatchObject([
      { verdict: 'fail', detail: 'the table that the import made is still there' },
    ]);
    await undo(await plannedUndo(sides, by.record, by.read, 'overwrite-changed'), quietly);
    expect(await verified(by, '1', 'overwrite-changed')).toMatchObject([{ verdict: 'pass' }]);
  });
});

describe('an undo is refused', () => {
  test('where another that was about to commit did commit', async () => {
    const sides = await server.make(TABLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    const plan = (transaction: string) =>
      planUndo({ ...by.input(), earlier: { by: 'undo/shop/1', transaction } }, quietly);

    const session = await openSession(sides.production);
    const idOf = async (end: string) => {
      await session.query('BEGIN');
      const { rows } = await session.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
      const id = rows[0]?.id as string;
      await expect(plan(id)).rejects.toMatchObject({ type: 'LockNotAvailable' });
      await session.query(end);
      return id;
    };
    expect(await plan(await idOf('ROLLBACK'))).toHaveLength(1);
    await expect(plan(await idOf('COMMIT'))).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('taken back already, by undo/shop/1'),
    });
    await session.end();
  });

  test('where more rows of a table without a key look like the import than it inserted', async () => {
    const sides = await server.make('CREATE TABLE lines (a int)');
    const lines = { 'public.lines': { key: null, columns: ['a'], count: 3 } };
    const by = await importByHand(sides, lines, 'INSERT INTO lines SELECT generate_series(1, 5)');
    await expect(planUndo(by.input(), quietly)).rejects.toMatchObject({
      type: 'NotSupported',
      message: expect.stringContaining('2 more rows look like'),
    });
  });

  test('where the configured user lacks a right for both rules, which can be granted; not where no grant helps', async () => {
    const sides = await server.make(`${TABLE}; CREATE TABLE lines (a int)`);
    const lines = { 'public.lines': { key: null, columns: ['a'], count: 3 } };
    const by = await importByHand(sides, CHANGE, IMPORT);
    const both = await importByHand(
      sides,
      { ...CHANGE, ...lines },
      'INSERT INTO t VALUES (13, 1); INSERT INTO lines SELECT generate_series(1, 5)',
    );
    await sides.live(`CREATE ROLE clerk LOGIN PASSWORD 'a-password-of-the-clerk';
      GRANT SELECT, INSERT, UPDATE ON t, lines TO clerk; GRANT DELETE ON lines TO clerk`);
    const plan = (of: ImportedByHand) => {
      const input = of.input();
      const production = { ...input.production, user: 'clerk', password: 'a-password-of-the-clerk' };
      return planUndo({ ...input, production }, quietly);
    };
    const denied = 'the configured user may not delete in public.t';
    await expect(plan(by)).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: denied,
      hint: 'grant DELETE on public.t',
    });
    await expect(plan(both)).rejects.toMatchObject({
      type: 'NotSupported',
      message: expect.stringMatching(`^${denied}; public.lines has no key, and 2 more rows`),
      hint: expect.not.stringContaining('grant'),
    });
    await sides.live('GRANT DELETE ON t TO clerk');
    expect((await plan(by))[0]?.rules.map(({ refusal }) => refusal)).toEqual([null, null]);
  });

  test('where a partition for its rows is gone', async () => {
    const sides =
      await server.make(`CREATE TABLE t (id int, part text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
      CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b');
      INSERT INTO t VALUES (1, 'a'), (2, 'b')`);
    const by = await importByHand(
      sides,
      {
        'public.t': { key: ['id', 'part'], columns: ['id', 'part'], replaced: `SELECT 'd', id, part FROM t` },
      },
      'DELETE FROM t',
    );
    const refusal = async () => {
      const [comparison] = await planUndo(by.input(), quietly);
      return ruleOf(comparison as NonNullable<typeof comparison>, 'keep-changed').refusal;
    };
    expect(await refusal()).toBeNull();
    await sides.live('DROP TABLE t_b');
    await expect(refusal()).rejects.toMatchObject({
      type: 'NotSupported',
      message: expect.stringMatching(/public\.t has no partition any more for some rows/),
    });
  });
});

test('a partition that the import made goes when nobody reads its table any more', async () => {
  const sides = await server.make(
    `CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE rest PARTITION OF t DEFAULT`,
  );
  const by = await importByHand(
    sides,
    { 'public.one': { created: 'public.one', key: null, columns: ['id'], count: 1 } },
    'CREATE TABLE one PARTITION OF t FOR VALUES IN (1); INSERT INTO one VALUES (1)',
  );
  const reader = await openSession(sides.production);
  await reader.query('BEGIN; SELECT FROM ONLY t LIMIT 0');
  let tries = 0;
  const ended = Promise.withResolvers<unknown>();
  const result = await undo(
    { ...(await plannedUndo(sides, by.record, by.read)), lockTimeoutMs: 20_000 },
    {
      ...quietly,
      progress: ({ phase }) => {
        if (phase === 'waiting for locks') tries += 1;
        if (tries === 3) ended.resolve(reader.query('COMMIT'));
      },
    },
  );
  await ended.promise;
  await reader.end();
  expect(result.tables).toMatchObject([{ deleted: 1 }]);
  expect(await sides.live(`SELECT to_regclass('one')::text AS one`)).toEqual([{ one: null }]);
});
