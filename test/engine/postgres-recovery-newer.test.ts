import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Recovery, recover, startRecovery } from './postgres-recovery-fixture.ts';

let recovery: Recovery;
let backup: string;
let lastLog: string;
let lsn: string;

beforeAll(async () => {
  recovery = await startRecovery();
  backup = await recovery.backup();
  // The copy can be connected to long before it has replayed what comes after these.
  for (let logs = 0; logs < 8; logs += 1) await recovery.archive();
  await recovery.sql('CREATE ROLE newer LOGIN SUPERUSER');
  await recovery.sql('CREATE DATABASE newer');
  lsn = await recovery.value('SELECT pg_current_wal_lsn()');
  lastLog = await recovery.archive();
});
afterAll(() => recovery?.end());

test.each([
  ['latest', () => ({ latest: true as const })],
  ['a target', () => ({ lsn })],
])('a user and a db that are newer than the base: replayed to %s they are there', async (name, target) => {
  const id = name.replace(' ', '-');
  const place = await recovery.provision(id);
  const newer = { user: 'newer', database: 'newer', lastLog };
  const { access } = await recover(recovery, place, backup, target(), newer);
  expect(await recovery.value('SELECT current_database() || current_user', access)).toBe('newernewer');
  await recovery.remove(id);
});

test.each([
  ['a user', { user: 'nobody' }, 'AuthenticationFailed'],
  ['a db', { database: 'nothing' }, 'InvalidConfiguration'],
])('%s that is not there at the end either is said', async (_what, unknown, type) => {
  const place = await recovery.provision('unknown');
  await expect(
    recover(recovery, place, backup, { latest: true }, { lastLog, ...unknown }),
  ).rejects.toMatchObject({
    type,
  });
  await recovery.remove('unknown');
});
