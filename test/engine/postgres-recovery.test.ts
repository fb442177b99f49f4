import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { check } from '../../src/engines/postgres/check.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import {
  type ReplayState,
  readReplayState,
  writeReplayState,
} from '../../src/engines/postgres/replay-state.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { ensureRunning, stop } from '../../src/engines/postgres/server.ts';
import { runTool } from '../../src/engines/process.ts';
import {
  quietly,
  RESTORE_USER,
  type Recovery,
  recover,
  replayInput,
  restoreInput,
  startRecovery,
} from './postgres-recovery-fixture.ts';

let recovery: Recovery;
let backup: string;
let lastLog: string;
/** moments of production's life after the backup */
const moment = { beforeDelete: '', deleteXid: '', deleteLsn: '', lastCommit: '' };

const rows = (access: Parameters<Recovery['value']>[1]) =>
  recovery.value('SELECT count(*) FROM public.orders', access);

beforeAll(async () => {
  recovery = await startRecovery();
  const { sql, value } = recovery;
  // What ALTER SYSTEM left in production is restored with the files, and is stronger than postgresql.conf.
  await sql("ALTER SYSTEM SET archive_mode = 'on'");
  await sql("ALTER SYSTEM SET listen_addresses = '127.0.0.1'");
  await sql('CREATE TABLE public.orders (id int PRIMARY KEY, note text)');
  await sql("INSERT INTO public.orders SELECT n, repeat('x', 400) FROM generate_series(1, 20000) n");
  backup = await recovery.backup();

  await sql('INSERT INTO public.orders SELECT n FROM generate_series(20001, 20100) n');
  moment.beforeDelete = await value(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  );
  moment.deleteXid = await value(
    'WITH gone AS (DELETE FROM public.orders WHERE id <= 5000 RETURNING 1) SELECT pg_current_xact_id() FROM gone LIMIT 1',
  );
  moment.deleteLsn = await value('SELECT pg_current_wal_lsn()');
  await value("SELECT pg_create_restore_point('before release')");
  await sql('INSERT INTO public.orders SELECT n FROM generate_series(20101, 20150) n');
  await sql('DROP EXTENSION amcheck');
  lastLog = await recovery.archive();
  await sql('ALTER TABLE public.orders ADD COLUMN price numeric NOT NULL DEFAULT 0');
});
afterAll(() => recovery?.end());

test('a time: every commit until then and none after, on an isolated server', async () => {
  const place = await recovery.provision('time');
  const seen: string[] = [];
  await restore(restoreInput(recovery, place, backup), {
    ...quietly,
    progress: ({ phase, done, total }) => seen.push(`${phase} ${done}/${total}`),
  });
  expect(seen.at(-1)).toMatch(/^restoring files \d{7,}\/\d{7,}$/);
  const target = { time: moment.beforeDelete };
  const reached = await replay(replayInput(recovery, place, target, { lastLog }), quietly);

  expect(await rows(reached.access)).toBe('20100');
  expect(reached.position).toMatch(new RegExp(`^before commit of transaction ${moment.deleteXid}, time `));
  expect(reached.lastTransactionAt && reached.lastTransactionAt <= moment.beforeDelete).toBe(true);
  expect(reached.url).not.toContain('secret');
  await expectIsolation(place.directory, (await serverPid(place)) as number, reached.access);

  // A second run finds the server of the first.
  const pid = await serverPid(place);
  expect(await replay(replayInput(recovery, place, target, { lastLog }), quietly)).toEqual(reached);
  expect(await serverPid(place)).toBe(pid);

  // After a crash of the server it comes back to where it was, without the repository.
  process.kill(pid as number, 'SIGKILL');
  await expect.poll(() => serverPid(place)).toBe(null);
  await ensureRunning(place, quietly);
  expect(await rows(reached.access)).toBe('20100');
  expect(await recovery.value('SELECT pg_last_wal_replay_lsn()', reached.access)).toBe(reached.lsn);
  await recovery.remove('time');
  expect(await serverPid(place)).toBe(null);
});

async function expectIsolation(
  directory: string,
  pid: number,
  access: Parameters<Recovery['value']>[1],
): Promise<void> {
  expect(await recovery.value('SHOW archive_mode', access)).toBe('off');
  expect(tcpSocketsOf(pid)).toEqual([]);
  const uid = execFileSync('id', ['-u', RESTORE_USER], { encoding: 'utf8' }).trim();
  expect(/^Uid:\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.slice(1)).toEqual([
    uid,
    uid,
  ]);
  await expect(
    runTool('ls', [recovery.production.dataDirectory], { signal: quietly.signal, user: RESTORE_USER }),
  ).rejects.toThrow(/Permission denied/);
  const { secretAccessKey } = recovery.s3.restoreCredentials;
  expect(await filesWith(directory, secretAccessKey)).toBe('');
  expect(await filesWith(directory, recovery.repository.cipher as string)).toBe('');
}

/** The listening TCP sockets of a process, by their inodes (proc(5)). */
function tcpSocketsOf(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map(
      (fd) => /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1],
    ),
  );
  return ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && inodes.has(fields[9]))
      .map((fields) => fields[1] as string),
  );
}

async function filesWith(directory: string, text: string): Promise<string> {
  return runTool('grep', ['-rlF', '--', text, directory], { signal: quietly.signal, stdout: 'text' }).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

test('a transaction: just before it by default, with it where that is asked for; never back', async () => {
  const place = await recovery.provision('xid');
  const xid = moment.deleteXid;
  const before = await recover(recovery, place, backup, { xid });
  expect(await rows(before.access)).toBe('20100');
  expect(before.position).toMatch(new RegExp(`^before commit of transaction ${xid}`));

  await expect(
    replay(replayInput(recovery, place, { time: moment.beforeDelete }), quietly),
  ).rejects.toMatchObject({
    type: 'InstanceLost',
    hint: expect.stringContaining('restore the files again'),
  });
  const after = await recover(recovery, place, backup, { xid, exclusive: false });
  expect(await rows(after.access)).toBe('15100');
  await recovery.remove('xid');
});

test('the backup itself, then further on to an LSN, a restore point and the end, without a new restore', async () => {
  const place = await recovery.provision('steps');
  const base = await recover(recovery, place, backup, { backup });
  expect(base.position).toBe('after reaching consistency');
  expect(await rows(base.access)).toBe('20000');

  const lsn = await replay(replayInput(recovery, place, { lsn: moment.deleteLsn }), quietly);
  expect(await rows(lsn.access)).toBe('15100');
  expect(lsn.position).toMatch(/^(?:before|after) LSN /);

  const latest = await replay(replayInput(recovery, place, { latest: true }, { lastLog }), quietly);
  expect(await rows(latest.access)).toBe('15150');
  expect(await recovery.value('SELECT pg_is_in_recovery()', latest.access)).toBe('true');

  const name = await recover(recovery, place, backup, { name: 'before release' });
  expect(await rows(name.access)).toBe('15100');
  expect(name.position).toMatch(/^at restore point "before release"/);
  await recovery.remove('steps');
});

test('the end of the logs again, once there are more of them: the copy goes on to the new end', async () => {
  const place = await recovery.provision('further');
  const first = await recover(recovery, place, backup, { latest: true }, { lastLog });
  expect(await rows(first.access)).toBe('15150');
  const pid = await serverPid(place);
  const input = replayInput(recovery, place, { latest: true }, { lastLog });
  expect(await replay(input, quietly)).toEqual(first);
  expect(await serverPid(place)).toBe(pid);

  await recovery.sql('DELETE FROM public.orders WHERE id > 20000');
  lastLog = await recovery.archive();
  const second = await replay({ ...input, lastLog }, quietly);
  expect(await rows(second.access)).toBe('15000');
  expect(BigInt(`0x${second.lsn.split('/')[1]}`)).toBeGreaterThan(BigInt(`0x${first.lsn.split('/')[1]}`));

  // A pause is not the end: there has to be nothing more to replay.
  await recovery.sql('INSERT INTO public.orders SELECT n FROM generate_series(20001, 20150) n');
  lastLog = await recovery.archive();
  await writeReplayState(place, { ...((await readReplayState(place)) as ReplayState), lastLog });
  await expect(replay({ ...input, lastLog }, quietly)).rejects.toMatchObject({
    type: 'TargetNotReached',
    message: expect.stringContaining('without having reached latest'),
  });
  expect(await serverPid(place)).toBe(null);
  await recovery.remove('further');
});

test('a target later than the last commit says how far the logs reach, and leaves no server', async () => {
  const place = await recovery.provision('late');
  const target = { time: '2035-01-01T00:00:00+01:00' };
  await expect(recover(recovery, place, backup, target, { lastLog })).rejects.toMatchObject({
    type: 'TargetNotReached',
    message: expect.stringMatching(
      /^the logs ended, and time 2035-01-01T00:00:00\+01:00 was not reached: the last commit in them was at 20\d\d-\d\d-\d\dT/,
    ),
    hint: expect.stringContaining('recover to latest'),
  });
  expect(await serverPid(place)).toBe(null);
  // The same files go on to the end.
  const latest = await replay(replayInput(recovery, place, { latest: true }, { lastLog }), quietly);
  expect(await rows(latest.access)).toBe('15150');
  await recovery.remove('late');
});

test('the checks: pages and indexes where amcheck is, and what production has changed since', async () => {
  const place = await recovery.provision('check');
  const { access } = await recover(recovery, place, backup, { time: moment.beforeDelete });
  const input = {
    ...{ place, serverMajor: 15, restored: access, production: recovery.production.access },
    tables: ['public.orders'],
  };
  expect(await check(input, quietly)).toEqual([
    {
      name: 'integrity',
      verdict: 'pass',
      detail: 'pg_amcheck --heapallindexed of public.orders found no damage',
    },
    expect.objectContaining({ name: 'collations', verdict: 'pass' }),
    {
      name: 'extensions',
      verdict: 'inconclusive',
      detail: 'amcheck is 1.3 in the copy and absent in production',
    },
    {
      name: 'schema',
      verdict: 'inconclusive',
      detail:
        'production has changed since: public.orders: column price (numeric not null default 0) is new in production',
    },
  ]);

  await damage(place.directory, access);
  await ensureRunning(place, quietly);
  expect((await check(input, quietly))[0]).toMatchObject({
    verdict: 'fail',
    detail: expect.stringContaining('public.orders'),
  });
  await recovery.remove('check');
});

test('without amcheck the page checksums are checked, and the server is back where it was', async () => {
  const place = await recovery.provision('pages');
  const reached = await recover(recovery, place, backup, { latest: true }, { lastLog });
  const input = { place, serverMajor: 15, restored: reached.access, production: null, tables: null };
  expect((await check(input, quietly))[0]).toMatchObject({
    verdict: 'pass',
    detail: expect.stringContaining('every page checksum is right'),
  });
  expect(await recovery.value('SELECT pg_last_wal_replay_lsn()', reached.access)).toBe(reached.lsn);
  expect(await rows(reached.access)).toBe('15150');

  await damage(place.directory, reached.access);
  await ensureRunning(place, quietly);
  expect((await check(input, quietly))[0]).toMatchObject({
    verdict: 'fail',
    detail: '1 pages have a wrong checksum',
  });
  await recovery.remove('pages');
});

test('a copy that a person let go on or promoted is no longer what the plan was made from', async () => {
  const place = await recovery.provision('moved');
  const reached = await recover(recovery, place, backup, { lsn: moment.deleteLsn }, { lastLog });
  await ensureRunning(place, quietly);

  await recovery.value('SELECT pg_wal_replay_resume()', reached.access);
  await expect
    .poll(() => ensureRunning(place, quietly).then(String, String))
    .toMatch(/somebody has (?:let it go on|promoted it)/);

  await recovery.value('SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote() END', reached.access);
  await expect(ensureRunning(place, quietly)).rejects.toMatchObject({
    type: 'InstanceLost',
    message: expect.stringContaining('somebody has promoted it'),
  });
  await recovery.remove('moved');
});

/** Overwrites a part of a page of the table that no log touches. */
async function damage(directory: string, access: Parameters<Recovery['value']>[1]): Promise<void> {
  const path = await recovery.value("SELECT pg_relation_filepath('public.orders')", access);
  await stop({ directory, user: RESTORE_USER });
  const file = await open(join(directory, 'data', path), 'r+');
  await file.write(Buffer.alloc(64, 0x5a), 0, 64, 8192 * 700 + 4000);
  await file.close();
}

test('nothing of all this reached the repository: production is restored as ever', async () => {
  const archived = await logsInRepository();
  expect(archived.filter((name) => !name.startsWith('00000001'))).toEqual([]);
  const place = await recovery.provision('again');
  const latest = await recover(recovery, place, backup, { latest: true }, { lastLog });
  await stop(place);
  expect(await rows(recovery.production.access)).toBe('15150');
  expect(latest.lastTransactionAt).not.toBe(null);
  expect(await logsInRepository()).toEqual(archived);
  await recovery.remove('again');
});

async function logsInRepository(): Promise<string[]> {
  const archive = join(recovery.directory, 's3', 'data', recovery.s3.bucket, 'pgbackrest', 'archive');
  const found = await runTool('find', [archive, '-maxdepth', '5'], {
    signal: quietly.signal,
    stdout: 'text',
  });
  return [...found.stdout.matchAll(/\/([0-9A-F]{24})-/g)].map(([, name]) => name as string).sort();
}
