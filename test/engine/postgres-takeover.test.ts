import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, copyFile, mkdir, readFile, readlink, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backup as takeBackup } from '../../src/engines/postgres/backup.ts';
import { check } from '../../src/engines/postgres/check.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { closeLog } from '../../src/engines/postgres/log.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import {
  type ReplayState,
  readReplayState,
  writeReplayState,
} from '../../src/engines/postgres/replay-state.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { ensureRunning, stop } from '../../src/engines/postgres/server.ts';
import { identify } from '../../src/engines/postgres/takeover/identify.ts';
import { promote } from '../../src/engines/postgres/takeover/promotion.ts';
import { takeOver } from '../../src/engines/postgres/takeover/take-over.ts';
import { userIds } from '../../src/engines/process.ts';
import { socketDirectory } from '../../src/instances/socket.ts';
import {
  MAJOR,
  quietly,
  RESTORE_USER,
  type Recovery,
  recover,
  replayInput,
  restoreInput,
  startRecovery,
} from './postgres-recovery-fixture.ts';
import {
  archived,
  expectTakenOverFromFullLogs,
  PRODUCTION_USER,
  restoreAndMove,
  stanzaTree,
  takeOverInput,
  userOf,
} from './postgres-takeover-fixture.ts';

let recovery: Recovery;
let backup: string;
let lastLog: string;
const moment = { beforeDelete: '', dropXid: '' };

const rows = (access: Parameters<Recovery['value']>[1]) =>
  recovery.value('SELECT count(*) FROM public.orders', access);

beforeAll(async () => {
  recovery = await startRecovery({ max_connections: '60' });
  const { sql, value } = recovery;
  const { uid, gid } = userIds('postgres');
  const tablespace = join(recovery.directory, 'tablespace');
  await mkdir(tablespace);
  await chown(tablespace, uid, gid);
  await sql(`CREATE TABLESPACE fast LOCATION '${tablespace}'`);
  await sql("ALTER SYSTEM SET work_mem = '5MB'");
  await sql('CREATE TABLE public.orders (id int PRIMARY KEY, note text)');
  await sql('CREATE TABLE public.fast (id int) TABLESPACE fast');
  await sql('CREATE TABLE public.dropped (id int)');
  await sql('CREATE UNLOGGED TABLE public.scratch (id int)');
  await sql('INSERT INTO public.orders SELECT n FROM generate_series(1, 1000) n');
  backup = await recovery.backup();
  await sql('INSERT INTO public.fast SELECT n FROM generate_series(1, 10) n');
  moment.beforeDelete = await value(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  );
  await sql('DELETE FROM public.orders WHERE id <= 500');
  moment.dropXid = await value('SELECT pg_current_xact_id()::text::bigint + 1');
  await sql('DROP TABLE public.dropped');
  await sql(
    "CREATE SUBSCRIPTION news CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)",
  );
  await sql('ALTER SUBSCRIPTION news ENABLE').catch(() => {});
  lastLog = await recovery.archive();
});
afterAll(() => recovery?.end());

test('the end of the logs becomes production: writable, on a new timeline, into an archive of its own', async () => {
  const { before, replayed, moved } = await restoreAndMove(
    recovery,
    'latest',
    backup,
    { latest: true },
    { lastLog },
  );
  expect([moved.role, moved.user, existsSync(before.directory)]).toEqual([
    'candidate',
    PRODUCTION_USER,
    false,
  ]);
  const old = await stanzaTree(recovery, 'shop');

  const input = await takeOverInput(recovery, moved, { settings: { max_connections: 20 } });
  const taken = await takeOver(input, quietly);
  expect(taken).toMatchObject({ timeline: 2, switchedAt: replayed.lsn });
  expect(taken.notices).toEqual([
    expect.stringMatching(/^replication slots/),
    expect.stringMatching(/^subscriptions do not run.*\(shop\.news\)/),
    'unlogged tables are empty: public.scratch',
    expect.stringMatching(/^the old server had set .*work_mem/),
  ]);
  const { access } = taken;
  expect([await rows(access), await recovery.value('SELECT count(*) FROM public.fast', access)]).toEqual([
    '500',
    '10',
  ]);
  for (const [name, value] of Object.entries({
    ...{ fsync: 'on', full_page_writes: 'on', archive_mode: 'on', restart_after_crash: 'on' },
    ...{ max_connections: '60', default_transaction_read_only: 'off', autovacuum: 'on' },
  })) {
    expect([name, await recovery.value(`SHOW ${name}`, access)]).toEqual([name, value]);
  }

  // Clients reach it as they reached the old one, which is still there, and is not what this is.
  const client = { ...recovery.production.access, port: input.server.port };
  await recovery.sql('INSERT INTO public.orders VALUES (7777)', client);
  expect(await identify(client, quietly)).toEqual({
    systemIdentifier: taken.systemIdentifier,
    timeline: 2,
    writable: true,
  });
  expect(await identify(recovery.production.access, quietly)).toEqual({
    systemIdentifier: taken.systemIdentifier,
    timeline: 1,
    writable: true,
  });

  const pid = (await serverPid(moved)) as number;
  expect(userOf(pid)).toBe(PRODUCTION_USER);
  expect(
    execFileSync('sh', ['-c', `ps -u ${RESTORE_USER} -o args= || true`], { encoding: 'utf8' }),
  ).not.toContain(recovery.directory);
  const configuration = join(moved.directory, 'configuration');
  for (const [path, mode, user] of [
    [moved.directory, 0o700, PRODUCTION_USER],
    [taken.dataDirectory, 0o700, PRODUCTION_USER],
    [taken.socketDirectory, 0o700, PRODUCTION_USER],
    [join(configuration, 'pgbackrest.conf'), 0o600, PRODUCTION_USER],
    [join(configuration, 'postgresql.conf'), 0o600, PRODUCTION_USER],
    [taken.serviceFile, 0o644, 'root'],
  ] as const) {
    const found = await stat(path);
    expect([path, found.mode & 0o777, found.uid]).toEqual([path, mode, userIds(user).uid]);
  }
  const link = await readlink(join(taken.dataDirectory, 'pg_tblspc', await tablespaceOid(access)));
  expect(link.startsWith(join(moved.directory, 'tablespaces'))).toBe(true);

  // Done already, and after a crash of the server.
  expect(await takeOver(input, quietly)).toEqual(taken);
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => serverPid(moved)).toBe(null);
  await ensureRunning(moved, quietly);
  expect(await rows(access)).toBe('501');
  expect(
    (
      await check(
        { place: moved, serverMajor: 15, restored: access, production: null, tables: null },
        quietly,
      )
    )[0],
  ).toMatchObject({
    name: 'integrity',
    verdict: 'pass',
  });

  const closed = await closeLog(access, quietly);
  await expect
    .poll(() => archived(recovery, input.stanza))
    .toEqual(expect.arrayContaining(['00000002.history', closed.log]));
  expect(await stanzaTree(recovery, 'shop')).toBe(old);

  // Nothing is restored or replayed over it.
  await expect(restore(restoreInput(recovery, moved, backup), quietly)).rejects.toMatchObject({
    type: 'DatabaseBusy',
  });
  const again = replayInput(recovery, moved, { latest: true }, { lastLog });
  await expect(replay(again, quietly)).rejects.toMatchObject({ type: 'DatabaseBusy' });
  expect(await serverPid(moved)).not.toBe(null);

  // It is protected: what it wrote comes back from its own archive.
  const own = await takeBackup(
    {
      ...{
        access,
        repository: recovery.repository,
        stanza: input.stanza,
        dataDirectory: taken.dataDirectory,
      },
      ...{ systemUser: PRODUCTION_USER, kind: 'full', retentionFull: 2, retentionArchive: 2 },
    },
    quietly,
  );
  await recovery.sql('INSERT INTO public.orders VALUES (8888)', access);
  const last = await closeLog(access, quietly);
  await expect.poll(() => archived(recovery, input.stanza)).toContain(last.log);
  const copy = await recovery.provision('copy');
  await restore({ ...restoreInput(recovery, copy, own.id), stanza: input.stanza }, quietly);
  const reached = await replay(
    replayInput(recovery, copy, { latest: true }, { stanza: input.stanza, timeline: 2, lastLog: last.log }),
    quietly,
  );
  expect(await rows(reached.access)).toBe('502');
  await recovery.remove('copy');
  await recovery.remove('latest');
  expect(existsSync(moved.directory)).toBe(false);
});

const tablespaceOid = (access: Parameters<Recovery['value']>[1]) =>
  recovery.value("SELECT oid FROM pg_tablespace WHERE spcname = 'fast'", access);

test('a time: nothing after it; a port that is taken is named, and another does', async () => {
  const target = { time: moment.beforeDelete };
  const { replayed, moved } = await restoreAndMove(recovery, 'time', backup, target, { lastLog });
  const input = await takeOverInput(recovery, moved);
  const { port } = recovery.production.access;
  await expect(takeOver({ ...input, server: { ...input.server, port } }, quietly)).rejects.toMatchObject({
    type: 'ToolFailed',
    message: expect.stringMatching(/^the new server does not start: could not bind .*in use/),
  });
  expect(await serverPid(moved)).toBe(null);
  const tls = await certificate(recovery);
  const taken = await takeOver({ ...input, server: { ...input.server, tls } }, quietly);
  expect([taken.timeline, taken.switchedAt, await rows(taken.access)]).toEqual([2, replayed.lsn, '1000']);
  const client = { ...recovery.production.access, port: input.server.port };
  const verified = { ...client, tls: { ca: await readFile(recovery.s3.caFile, 'utf8'), serverName: null } };
  expect(await rows(verified)).toBe('1000');
  await stop(moved);
  await ensureRunning(moved, quietly);
  expect(await rows(taken.access)).toBe('1000');
  await recovery.remove('time');
});

/** The one of the S3 server, in files that the new server's user can read. */
async function certificate({ directory, s3 }: Recovery): Promise<{ certFile: string; keyFile: string }> {
  const { uid, gid } = userIds(PRODUCTION_USER);
  const copy = async (name: string) => {
    const path = join(directory, name);
    await copyFile(join(dirname(s3.caFile), 'certs', name), path);
    await chown(path, uid, gid);
    return path;
  };
  return { certFile: await copy('public.crt'), keyFile: await copy('private.key') };
}

test('a recovery that had to be ended before: its history is archived too', async () => {
  const { moved } = await restoreAndMove(recovery, 'ended', backup, { xid: moment.dropXid }, { lastLog });
  const state = (await readReplayState(moved)) as ReplayState;
  expect(state.ended).toBeDefined();
  // The machine was restarted: all of it is on the disk.
  await writeReplayState(moved, { ...state, bootId: 'another' });
  const input = await takeOverInput(recovery, moved);
  const taken = await takeOver(input, quietly);
  expect(taken.timeline).toBe(2);
  await recovery.sql('INSERT INTO public.dropped VALUES (1)', taken.access);
  await expect.poll(() => archived(recovery, input.stanza)).toContain('00000002.history');
  await recovery.remove('ended');
});

test('of a drill: the copy is promoted where it is, and stays isolated', async () => {
  const place = await recovery.provision('drill');
  const { access } = await recover(recovery, place, backup, { latest: true }, { lastLog });
  expect(await promote(place, quietly)).toEqual({ timeline: 2 });
  expect(await promote(place, quietly)).toEqual({ timeline: 2 });
  // Killed before it knew that it was done.
  const state = (await readReplayState(place)) as ReplayState;
  await writeReplayState(place, { ...state, ended: { nextXid: null } });
  expect(await promote(place, quietly)).toEqual({ timeline: 2 });
  await ensureRunning(place, quietly);
  expect(await recovery.value('SHOW archive_mode', access)).toBe('off');
  // Not fit for production: what a machine's crash would leave of it is not known.
  await stop(place);
  const moved = await recovery.site.moveToProduction('drill', PRODUCTION_USER);
  await expect(takeOver(await takeOverInput(recovery, moved), quietly)).rejects.toMatchObject({
    type: 'InstanceLost',
  });
  expect(existsSync(socketDirectory(moved.directory))).toBe(true);
  await recovery.remove('drill');
});

test('logs that end in the middle of a record, as those of a server that was lost do', () =>
  expectTakenOverFromFullLogs(recovery, backup, MAJOR));
