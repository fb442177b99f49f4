import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InstancePlace, ReplayResult } from '../../src/engines/contract/restore.ts';
import { check } from '../../src/engines/postgres/check.ts';
import { withConnection } from '../../src/engines/postgres/connection.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { ensureRunning } from '../../src/engines/postgres/server.ts';
import { quietly, type Recovery, recover, replayInput, startRecovery } from './postgres-recovery-fixture.ts';

/** Recovery to just before a transaction that locked tables exclusively: its locks are in the log, its end is not. */
let recovery: Recovery;
let backup: string;
let lastLog: string;
let dropXid: string;

beforeAll(async () => {
  recovery = await startRecovery();
  const { sql, value, production } = recovery;
  await sql('CREATE TABLE public.orders (id int PRIMARY KEY, note text)');
  await sql('CREATE TABLE public.emptied (id int PRIMARY KEY)');
  await sql('INSERT INTO public.emptied SELECT n FROM generate_series(1, 300) n');
  await sql('INSERT INTO public.orders SELECT n FROM generate_series(1, 500) n');
  backup = await recovery.backup();
  dropXid = await withConnection(
    production.access,
    { signal: quietly.signal, applicationName: 'test' },
    async (client) => {
      await client.query('BEGIN');
      const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
      await client.query(
        'TRUNCATE public.emptied; ALTER TABLE public.orders ADD price int; DROP TABLE public.orders',
      );
      await client.query('COMMIT');
      return rows[0]?.xid as string;
    },
  );
  expect(await value("SELECT to_regclass('public.orders') IS NULL")).toBe('true');
  lastLog = await recovery.archive();
});
afterAll(() => recovery?.end());

async function expectRows({ access }: ReplayResult): Promise<void> {
  expect(await recovery.value('SELECT count(*) FROM public.orders', access)).toBe('500');
  expect(await recovery.value('SELECT count(*) FROM public.emptied', access)).toBe('300');
}

async function write(place: InstancePlace, { access }: ReplayResult): Promise<void> {
  await expect(
    withConnection(access, { signal: quietly.signal, applicationName: 'test', readOnly: true }, (client) =>
      client.query('DELETE FROM public.orders'),
    ),
  ).rejects.toThrow(/read-only/);
  await ensureRunning(place, quietly);
  await recovery.value('DELETE FROM public.orders WHERE id = 1', access);
}

test('its tables can be read and checked, after a restart too, and what is written there is noticed', async () => {
  const place = await recovery.provision('locked');
  const target = { xid: dropXid };
  const reached = await recover(recovery, place, backup, target, { lastLog });
  expect(reached.position).toMatch(new RegExp(`^before commit of transaction ${dropXid}`));
  await expectRows(reached);
  const found = await check(
    {
      ...{ place, serverMajor: 15, restored: reached.access, production: null },
      tables: ['public.orders', 'public.emptied'],
    },
    quietly,
  );
  expect(found.find(({ name }) => name === 'integrity')).toMatchObject({ verdict: 'pass' });

  const pid = (await serverPid(place)) as number;
  expect(await replay(replayInput(recovery, place, target, { lastLog }), quietly)).toEqual(reached);
  expect(await serverPid(place)).toBe(pid);
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => serverPid(place)).toBe(null);
  await ensureRunning(place, quietly);
  await expectRows(reached);

  // Its recovery is over: the files have to be restored for any other target.
  await expect(
    replay(replayInput(recovery, place, { xid: dropXid, exclusive: false }, { lastLog }), quietly),
  ).rejects.toMatchObject({ type: 'InstanceLost' });
  const again = await recover(recovery, place, backup, target, { lastLog });
  await expectRows(again);
  await write(place, again);
  await expect(ensureRunning(place, quietly)).rejects.toMatchObject({
    type: 'InstanceLost',
    message: expect.stringContaining('somebody has written into it'),
  });
  const archived = await recovery.value('SELECT last_archived_wal FROM pg_stat_archiver');
  expect(archived.slice(0, 8)).toBe('00000001');
  await recovery.remove('locked');
});
