import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput, ImportRecord } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import {
  type memoryJournal,
  openSession,
  quietly,
  type Sides,
  type SidesServer,
  startSides,
} from './postgres-sides-fixture.ts';
import { memoryStore, plannedUndo } from './postgres-undo-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const TABLE = `CREATE TABLE t (id int PRIMARY KEY, n int UNIQUE);
  INSERT INTO t SELECT n, n FROM generate_series(1, 50) n`;
const CONTENT = 'SELECT * FROM t ORDER BY id';

async function replacing(sides: Sides, drift: number): Promise<ImportInput & { undo: Store }> {
  return { ...(await sides.plan(['public.t'])), conflict: 'replace', drift, undo: memoryStore() };
}

type Store = ReturnType<typeof memoryStore>;

async function takeBack(sides: Sides, plan: ImportInput & { undo: Store }): Promise<void> {
  const [record] = (plan.journal as ReturnType<typeof memoryJournal>).records;
  await undo(await plannedUndo(sides, record as ImportRecord, plan.undo.read), quietly);
}

describe('replace, where an approved row differs otherwise by now', () => {
  test('approved as changed, and deleted since', async () => {
    const sides = await server.make(TABLE);
    await sides.live('UPDATE t SET n = -n WHERE id <= 3');
    const plan = await replacing(sides, 1);
    await sides.live('DELETE FROM t WHERE id = 2');
    const before = await sides.live(CONTENT);
    await expect(importRows({ ...plan, drift: 0 }, quietly)).rejects.toMatchObject({
      type: 'PlanChanged',
      message:
        'production has changed since the plan was approved: rows beyond it would change in public.t, and the approval allowed none',
    });
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([{ inserted: 1, updated: 2, deleted: 0, drifted: 1, vanished: 0 }]);
    expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
    await takeBack(sides, plan);
    expect(await sides.live(CONTENT)).toEqual(before);
  });

  test('approved as missing, and back since with other content', async () => {
    const sides = await server.make(TABLE);
    await sides.live('DELETE FROM t WHERE id <= 3');
    const plan = await replacing(sides, 1);
    await sides.live('INSERT INTO t VALUES (2, -2)');
    const before = await sides.live(CONTENT);
    await expect(importRows({ ...plan, drift: 0 }, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([{ inserted: 2, updated: 1, deleted: 0, drifted: 1, vanished: 0 }]);
    expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
    await takeBack(sides, plan);
    expect(await sides.live(CONTENT)).toEqual(before);
  });
});

test('more drift than one statement takes', async () => {
  const sides = await server.make(`CREATE TABLE t (id text PRIMARY KEY, n int);
    INSERT INTO t SELECT n::text, n FROM generate_series(1, 25000) n`);
  const plan = await replacing(sides, 50_000);
  await sides.live(`UPDATE t SET n = -n WHERE n % 2 = 0; DELETE FROM t WHERE n > 0;
    INSERT INTO t SELECT 'new ' || n, n FROM generate_series(1, 12000) n`);
  const result = await importRows(plan, quietly);
  expect(result.tables).toMatchObject([
    { inserted: 12_500, updated: 12_500, deleted: 12_000, drifted: 37_000 },
  ]);
  expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
});

describe('the table itself is altered', () => {
  test.each([
    ['a column is new', 'ALTER TABLE t ADD note text'],
    ['a column is gone', 'ALTER TABLE t DROP n'],
    ['a rule rewrites its commands', 'CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING'],
    [
      'a new column has to be filled',
      'ALTER TABLE t ADD note text NOT NULL DEFAULT 1; ALTER TABLE t ALTER note DROP DEFAULT',
    ],
  ])('%s since the plan: there is a new one', async (_, alter) => {
    const sides = await server.make(TABLE);
    await sides.live('DELETE FROM t WHERE id <= 3');
    const plan = await sides.plan(['public.t']);
    await sides.live(alter);
    await expect(importRows(plan, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await sides.live('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 47 }]);
  });

  test('a column is new since the plan: a copy beside the table does not care', async () => {
    const sides = await server.make(TABLE);
    const plan = await sides.plan(['public.t']);
    await sides.live('ALTER TABLE t ADD note text');
    const result = await importRows({ ...plan, conflict: 'side-by-side' }, quietly);
    expect(result.tables[0]?.inserted).toBe(50);
  });

  test.each([
    ['a column', 'ALTER TABLE t ADD note text'],
    ['a foreign key to it', 'CREATE TABLE c (id int PRIMARY KEY REFERENCES t ON DELETE CASCADE)'],
    ['a rule', 'CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING'],
    ['a unique index', 'CREATE UNIQUE INDEX i ON t ((n / 1))'],
    [
      'another table of its name',
      'ALTER TABLE t RENAME TO old; CREATE TABLE t AS TABLE old; ALTER TABLE t ADD PRIMARY KEY (id)',
    ],
  ])('%s comes while rows are staged: nothing is changed', async (_, alter) => {
    const sides = await server.make(TABLE);
    await sides.live('DELETE FROM t WHERE id <= 3; INSERT INTO t VALUES (99, 99)');
    const plan = await replacing(sides, 100);
    const session = await openSession(sides.production);
    await session.query('BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE');
    let altering: Promise<unknown> | undefined;
    const during = {
      ...quietly,
      progress: ({ phase }: { phase: string }) => {
        if (phase === 'waiting for locks') altering ??= session.query(`${alter}; COMMIT`);
      },
    };
    await expect(importRows(plan, during)).rejects.toMatchObject({ type: 'PlanChanged' });
    await altering;
    await session.end();
    expect(await sides.live('SELECT count(*)::int AS n FROM t WHERE id = 99')).toEqual([{ n: 1 }]);
  });
});
