import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { runTool } from '../../src/engines/process.ts';
import {
  quietly,
  type Recovery,
  recover,
  replayInput,
  restoreInput,
  startRecovery,
} from './postgres-recovery-fixture.ts';

let recovery: Recovery;
let backup: string;
let damagedBackup: string;
let s3: S3Client;
let lastLog: string;

const rows = (access: Parameters<Recovery['value']>[1]) =>
  recovery.value('SELECT count(*) FROM public.orders', access);

beforeAll(async () => {
  recovery = await startRecovery();
  const { sql } = recovery;
  const { endpoint, region, accessKeyId, secretAccessKey, caFile } = recovery.s3;
  s3 = new S3Client({
    ...{ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: readFileSync(caFile) }) }),
  });
  await sql('CREATE TABLE public.orders (id int PRIMARY KEY, note text)');
  damagedBackup = await recovery.backup();
  await sql("INSERT INTO public.orders SELECT n, repeat('x', 400) FROM generate_series(1, 50000) n");
  backup = await recovery.backup();
  // More connections than the backup knows of: a standby with fewer pauses on the way.
  await sql('ALTER SYSTEM SET max_connections = 160');
  await recovery.restart();
  await sql('INSERT INTO public.orders SELECT n FROM generate_series(50001, 50100) n');
  lastLog = await recovery.archive();
});
afterAll(async () => {
  s3?.destroy();
  await recovery?.end();
});

test('a parameter that production raised after the backup is raised here too', async () => {
  const place = await recovery.provision('raised');
  const reached = await recover(recovery, place, backup, { latest: true }, { lastLog });
  expect(await rows(reached.access)).toBe('50100');
  expect(await recovery.value('SHOW max_connections', reached.access)).toBe('160');
  await recovery.remove('raised');
});

test('a worker that is killed while it restores, and while it replays: the next goes on to one result', async () => {
  const place = await recovery.provision('killed');
  await killDuring('restore', restoreInput(recovery, place, backup));
  await restore(restoreInput(recovery, place, backup), quietly);
  const input = replayInput(recovery, place, { latest: true }, { lastLog });
  await killDuring('replay', input);
  // The server outlives the worker that started it.
  expect(await serverPid(place)).not.toBe(null);
  const reached = await replay(input, quietly);
  expect(await rows(reached.access)).toBe('50100');
  await recovery.remove('killed');
  expect(await processesWith(place.directory)).toBe('');
});

/** Runs one step in a worker of its own and kills that at its first sign of progress. */
async function killDuring(step: 'restore' | 'replay', input: unknown): Promise<void> {
  const worker: ChildProcess = spawn(
    process.execPath,
    [fileURLToPath(new URL('./postgres-recovery-worker.ts', import.meta.url)), step],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  worker.stdin?.end(JSON.stringify(input));
  const exit = once(worker, 'exit');
  for await (const line of createInterface({ input: worker.stdout as NodeJS.ReadableStream })) {
    expect(line).toMatch(/^progress/);
    break;
  }
  worker.kill('SIGKILL');
  expect(await exit).toEqual([null, 'SIGKILL']);
}

async function processesWith(directory: string): Promise<string> {
  const { stdout } = await runTool('ps', ['-eo', 'args'], { signal: quietly.signal, stdout: 'text' });
  return stdout
    .split('\n')
    .filter((line) => line.includes(directory))
    .join('\n');
}

test('a cancelled restore and a cancelled replay leave no process', async () => {
  const place = await recovery.provision('cancelled');
  for (const step of [
    (run: typeof quietly) => restore(restoreInput(recovery, place, backup), run),
    (run: typeof quietly) => replay(replayInput(recovery, place, { latest: true }, { lastLog }), run),
  ]) {
    const controller = new AbortController();
    const reason = new Error('cancelled by the test');
    const run = { signal: controller.signal, progress: () => controller.abort(reason) };
    await expect(step(run)).rejects.toBe(reason);
    expect(await processesWith(place.directory)).toBe('');
    await restore(restoreInput(recovery, place, backup), quietly);
  }
  await recovery.remove('cancelled');
});

test('an unknown backup, refused credentials and a repository out of reach are told apart', async () => {
  const place = await recovery.provision('refused');
  const input = restoreInput(recovery, place, backup);
  await expect(restore({ ...input, backup: '20200101-000000F' }, quietly)).rejects.toMatchObject({
    type: 'UnknownBackup',
  });
  const wrong = { ...recovery.repository, credentials: { ...wrongCredentials } };
  await expect(restore({ ...input, repository: wrong }, quietly)).rejects.toMatchObject({
    type: 'RepositoryRefused',
  });
  await restore(input, quietly);
  const target = replayInput(recovery, place, { latest: true }, { lastLog });
  await expect(replay({ ...target, repository: wrong }, quietly)).rejects.toMatchObject({
    type: 'RepositoryRefused',
  });
  // With the right ones the replay goes on in the same files.
  expect(await rows((await replay(target, quietly)).access)).toBe('50100');
  await recovery.remove('refused');
});
const wrongCredentials = { accessKeyId: 'nobody', secretAccessKey: 'not-the-secret', sessionToken: null };

test('a damaged file of the backup is ChecksumMismatch and names the backup', async () => {
  const files = (await keys(`pgbackrest/backup/shop/${damagedBackup}/`)).filter((key) =>
    /\/(?:base|bundle)\/\d+/.test(key),
  );
  expect(files).not.toEqual([]);
  for (const Key of files) {
    await s3.send(
      new PutObjectCommand({ Bucket: recovery.s3.bucket, Key, Body: Buffer.alloc(8_000_000, 7) }),
    );
  }
  const place = await recovery.provision('damaged');
  await expect(restore(restoreInput(recovery, place, damagedBackup), quietly)).rejects.toMatchObject({
    type: 'ChecksumMismatch',
    message: expect.stringContaining(`backup ${damagedBackup} is damaged`),
  });
  await recovery.remove('damaged');
});

test('a gap in the logs is LogGap for latest and for a time beyond it, unless it is left behind: nothing is promoted', async () => {
  const before = await recovery.archive();
  await recovery.sql('INSERT INTO public.orders SELECT n FROM generate_series(60001, 60100) n');
  const lost = await recovery.archive();
  await recovery.sql('INSERT INTO public.orders SELECT n FROM generate_series(70001, 70100) n');
  const last = await recovery.archive();
  const [key] = (await keys('pgbackrest/archive/shop/')).filter((name) => name.includes(`/${lost}-`));
  const deleted = await s3.send(new DeleteObjectCommand({ Bucket: recovery.s3.bucket, Key: key }));
  const place = await recovery.provision('gap');
  const gap = {
    type: 'LogGap',
    message: `log ${lost} is not in the repository, though ${last} is`,
  };
  const beyond = { time: '2035-01-01T00:00:00Z' };
  await expect(recover(recovery, place, backup, beyond, { lastLog: last })).rejects.toMatchObject(gap);
  expect(await serverPid(place)).toBe(null);
  const latest = replayInput(recovery, place, { latest: true }, { lastLog: last });
  await expect(replay(latest, quietly)).rejects.toMatchObject(gap);
  expect(await serverPid(place)).toBe(null);
  expect(
    (await readdir(join(place.directory, 'data', 'pg_wal'))).filter((name) => name.endsWith('.history')),
  ).toEqual([]);

  // A disaster recovery takes what is before the gap, and waits there as a standby.
  const left = await replay({ ...latest, lastLog: before }, quietly);
  expect(left.position).toContain('end of the logs');
  expect(await rows(left.access)).toBe('50100');
  expect(await recovery.value('SELECT pg_is_in_recovery()', left.access)).toBe('true');

  // A log that is back closes the gap.
  await s3.send(
    new DeleteObjectCommand({ Bucket: recovery.s3.bucket, Key: key, VersionId: deleted.VersionId }),
  );
  expect(await rows((await replay(latest, quietly)).access)).toBe('50300');
  await recovery.remove('gap');
});

test('a tablespace made after the backup cannot be replayed into production', async () => {
  const folder = join(recovery.directory, 'production', 'fast disk');
  await mkdir(folder, { mode: 0o700 });
  await runTool('chown', ['postgres:', folder], { signal: quietly.signal });
  await recovery.sql(`CREATE TABLESPACE fast LOCATION '${folder}'`);
  await recovery.sql('CREATE TABLE public.kept TABLESPACE fast AS SELECT n FROM generate_series(1, 100) n');
  const last = await recovery.archive();
  const place = await recovery.provision('tablespace');
  await expect(recover(recovery, place, backup, { latest: true }, { lastLog: last })).rejects.toMatchObject({
    type: 'NotSupported',
    message: expect.stringContaining('a tablespace was created after the chosen backup'),
  });
  expect(await recovery.value('SELECT count(*) FROM public.kept')).toBe('100');

  // A newer backup maps it below the instance.
  const newer = await recovery.backup();
  const reached = await recover(recovery, place, newer, { backup: newer });
  expect(await recovery.value('SELECT count(*) FROM public.kept', reached.access)).toBe('100');
  expect(
    await recovery.value(
      "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'",
      reached.access,
    ),
  ).toContain(place.directory);
  await recovery.remove('tablespace');
});

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  let token: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket: recovery.s3.bucket, Prefix: prefix, ContinuationToken: token }),
    );
    found.push(...(page.Contents ?? []).map(({ Key }) => Key as string));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return found;
}
