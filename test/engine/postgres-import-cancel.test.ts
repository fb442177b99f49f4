import { afterAll, beforeAll, expect, test } from 'vitest';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { openSession, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const SHOP = `CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n`;

/** A standby that never comes makes every commit wait after it is done, as a slow one does. */
async function slowCommits(slow: boolean): Promise<void> {
  const session = await openSession(server.access);
  await session.query(`ALTER SYSTEM SET synchronous_standby_names = '${slow ? 'nobody' : ''}'`);
  await session.query('SELECT pg_reload_conf()');
  await session.end();
}

test('cancelled in the middle of its commit: the import that happened is the answer, not the cancellation', async () => {
  const sides = await server.make(SHOP);
  await sides.live('DELETE FROM orders WHERE id <= 10');
  const plan = await sides.plan(['public.orders']);
  const [watch, probe] = [await openSession(server.access), await openSession(server.access)];
  const waits = async (sql: string) => {
    const found = await watch.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query ~ $1`,
      [sql],
    );
    return found.rowCount;
  };
  let probing: Promise<unknown> = Promise.resolve();
  // A reload reaches the server's processes one by one: a commit before that does not wait, and another has to.
  const untilCommitsWait = async () => {
    for (let done = true; done; ) {
      done = false;
      probing = probe.query('CREATE TABLE probe (); DROP TABLE probe').then(() => {
        done = true;
      });
      await expect.poll(async () => done || (await waits('^CREATE TABLE probe')) === 1).toBe(true);
    }
  };
  const journal = {
    ...plan.journal,
    write: async (record: Parameters<typeof plan.journal.write>[0]) => {
      await plan.journal.write(record);
      await slowCommits(true);
      await untilCommitsWait();
    },
  };
  const cancel = new AbortController();
  const importing = importRows({ ...plan, journal }, { signal: cancel.signal, progress: () => {} });
  try {
    await expect.poll(() => waits('^COMMIT')).toBe(1);
    cancel.abort(new Error('no longer wanted'));
  } finally {
    await slowCommits(false);
  }
  expect(await importing).toMatchObject({ alreadyDone: true, tables: [{ inserted: 10 }] });
  expect(await sides.live('SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 100 }]);
  await probing;
  await Promise.all([watch.end(), probe.end()]);
});

test('cancelled before its commit: it ends with the reason, and nothing was changed', async () => {
  const sides = await server.make(SHOP);
  await sides.live('DELETE FROM orders WHERE id <= 10');
  const plan = await sides.plan(['public.orders']);
  const cancel = new AbortController();
  const journal = {
    ...plan.journal,
    write: async () => {
      cancel.abort(new Error('no longer wanted'));
      await new Promise(() => {});
    },
  };
  await expect(
    importRows({ ...plan, journal }, { signal: cancel.signal, progress: () => {} }),
  ).rejects.toThrow('no longer wanted');
  expect(await sides.live('SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 90 }]);
});
