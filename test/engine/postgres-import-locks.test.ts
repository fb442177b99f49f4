import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import type { Run } from '../../src/model/progress.ts';
import { openSession, quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Does something once an import tries to have its locks for the n-th time. */
function whenWaiting(
  work: () => Promise<unknown>,
  times: number,
): Run & { phases: string[]; done: () => Promise<unknown> } {
  const phases: string[] = [];
  let working: Promise<unknown> | undefined;
  return {
    ...quietly,
    phases,
    done: async () => working,
    progress: ({ phase }) => {
      phases.push(phase);
      if (phases.filter((one) => one === 'waiting for locks').length === times) working ??= work();
    },
  };
}

test('however often locks are asked for in vain, rows are staged once', async () => {
  const sides = await server.make(
    'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 9)',
  );
  await sides.live('DELETE FROM t');
  const plan = await sides.plan(['public.t']);
  const other = await openSession(sides.production);
  await other.query('BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE');
  const run = whenWaiting(() => other.query('COMMIT'), 4);
  const result = await importRows({ ...plan, lockTimeoutMs: 60_000 }, run);
  await run.done();
  await other.end();
  expect(result.tables[0]?.inserted).toBe(9);
  expect(run.phases.filter((phase) => phase.startsWith('staging'))).toHaveLength(1);
});

describe('a partition that is gone', () => {
  const PARTITIONED = `CREATE TABLE people (id int PRIMARY KEY); INSERT INTO people SELECT generate_series(1, 9);
    CREATE TABLE p (id int PRIMARY KEY, person int REFERENCES people) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (50);
    CREATE TABLE "the ""rest" PARTITION OF p DEFAULT;
    CREATE TABLE notes (id int PRIMARY KEY, p int REFERENCES p);
    INSERT INTO p SELECT n, 1 + n % 9 FROM generate_series(0, 99) n`;

  test.each([
    ['its parent', 'LOCK TABLE ONLY p IN SHARE UPDATE EXCLUSIVE MODE'],
    ['the default partition', 'INSERT INTO p VALUES (1000, 1)'],
    ['a table to which its parent refers', 'LOCK TABLE people IN ROW EXCLUSIVE MODE'],
    ['a table that refers to its parent', 'LOCK TABLE notes IN ROW EXCLUSIVE MODE'],
  ])('%s is in use: that is waited for while nothing is locked', async (_, statement) => {
    const sides = await server.make(PARTITIONED);
    await sides.live('ALTER TABLE p DETACH PARTITION p1; DROP TABLE p1');
    const plan = await sides.plan(['public.p1']);
    const other = await openSession(sides.production);
    await other.query(`BEGIN; ${statement}`);
    // Once it has tried in vain.
    const run = whenWaiting(() => other.query('COMMIT'), 2);
    const result = await importRows(plan, run).finally(() => other.end());
    await run.done();
    expect(result.tables[0]?.inserted).toBe(50);
    expect(await sides.live('SELECT count(*)::int AS n FROM p WHERE id < 50')).toEqual([{ n: 50 }]);
  });
});
