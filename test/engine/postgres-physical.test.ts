import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PutObjectLockConfigurationCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import { type S3Server, startS3 } from '../../src/client/dev/s3.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { BackupInput, ToolRepository } from '../../src/engines/contract/backup.ts';
import { backup, listBackups } from '../../src/engines/postgres/backup.ts';
import { withConnection } from '../../src/engines/postgres/connection.ts';
import { closeLog, watchLog } from '../../src/engines/postgres/log.ts';
import type { BackupKind } from '../../src/model/backup.ts';
import type { Progress, Run } from '../../src/model/progress.ts';
import { gapsOf, indexLogs } from '../../src/repository/chain.ts';
import { continuityOf } from '../../src/repository/continuity.ts';
import { listArchivedLogs } from '../../src/repository/logs.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { base } from '../unit/repository/recoverability.ts';
import { collect } from './repository/fixture.ts';

const run: Run = { signal: new AbortController().signal, progress: () => {} };
const WORKER = fileURLToPath(new URL('./postgres-backup-worker.ts', import.meta.url));

let folder: string;
let s3: S3Server;
let server: RunningPostgres;
let repository: ToolRepository;
let bucket: Repository;

const input = (kind: BackupKind): BackupInput => ({
  ...{ access: server.access, repository, stanza: 'shop', dataDirectory: server.dataDirectory },
  ...{ systemUser: 'postgres', kind, retentionFull: 4, retentionArchive: 4 },
});
const list = () => listBackups({ repository, stanza: 'shop', systemUser: 'postgres' }, run);
const query = <T>(text: string) =>
  withConnection(server.access, { ...run, applicationName: 'test' }, async (client) => {
    const { rows } = await client.query(text);
    return rows as T[];
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-physical-'));
  await chmod(folder, 0o755);
  s3 = await startS3({ directory: join(folder, 's3'), port: 0, region: 'eu-test-1', bucket: 'physical' });
  repository = {
    ...{ endpoint: s3.endpoint.replace('https://', ''), region: s3.region, bucket: s3.bucket },
    ...{
      path: 'fleet/pgbackrest',
      pathStyle: true,
      caFile: s3.caFile,
      kmsKeyId: s3.kmsKeyId,
      cipher: 'open sesame',
    },
    // Everything here is done by who may delete no version, in a bucket that locks whatever is written.
    credentials: s3.writerCredentials,
  };
  bucket = await openBucket();
  server = await startPostgres({
    ...{ directory: join(folder, 'pg'), port: 0, major: 15, systemUser: 'postgres' },
    ...{ password: 'the secret', database: 'shop', archive: { repository, stanza: 'shop' } },
  });
});

afterAll(async () => {
  await server?.stop();
  bucket?.close();
  await s3?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('the log', () => {
  const watched = () => ({
    ...{ database: 'shop', access: server.access, dataDirectory: server.dataDirectory },
    serverLog: join(folder, 'pg', 'server.log'),
  });

  it('gets a heartbeat that is a commit, and is closed where the newest archived log is too old', async () => {
    const before = await query<{ xid: string }>(
      'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid',
    );
    const first = await watchLog({ ...watched(), maxAgeMs: 3_600_000 }, run);
    const after = await query<{ xid: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid');
    expect(Number(after[0]?.xid)).toBeGreaterThan(Number(before[0]?.xid));
    expect(Number(first.heartbeat?.xid)).toBeGreaterThanOrEqual(Number(before[0]?.xid));
    expect(Number(first.heartbeat?.xid)).toBeLessThan(Number(after[0]?.xid));
    expect(first).toMatchObject({ database: 'shop', failure: null, heartbeat: { timeline: 1 } });
    expect(first.heartbeat?.log).toMatch(/^[0-9A-F]{24}$/);

    const closed = await closeLog(server.access, run);
    await waitForArchived(closed.log);
    const quiet = await watchLog({ ...watched(), maxAgeMs: 3_600_000 }, run);
    expect(quiet).toMatchObject({ lastArchivedLog: closed.log, switched: false, waiting: 0 });
    const old = await watchLog({ ...watched(), maxAgeMs: 1 }, run);
    expect(old.switched).toBe(true);
    await waitForArchived(old.heartbeat?.log as string);
  });

  it('reports an archiver that fails, and does not fill the disk with further logs', async () => {
    const command = await query<{ archive_command: string }>('SHOW archive_command');
    await query(
      `ALTER SYSTEM SET archive_command = '${String(command[0]?.archive_command).replace('archive-push', '--no-archive-async --repo1-s3-bucket=nowhere archive-push')}'`,
    );
    await query('SELECT pg_reload_conf()');
    await closeLog(server.access, run);
    const failing = async () => (await watchLog({ ...watched(), maxAgeMs: 1 }, run)).failure !== null;
    await until(failing);
    const report = await watchLog({ ...watched(), maxAgeMs: 1 }, run);
    expect(report).toMatchObject({
      switched: false,
      failure: {
        message: expect.stringMatching(
          /^archive_command fails at [0-9A-F]{24} \(.*ERROR: \[103\]: unable to find a valid repository: repo1: .*archive\.info/,
        ),
      },
    });
    expect(report.waiting).toBeGreaterThan(0);
    expect(report.ready).toContain(report.failure?.log);
    // A command that says nothing, and a server whose log nobody knows.
    await query(`ALTER SYSTEM SET archive_command = 'false'`);
    await query('SELECT pg_reload_conf()');
    await until(async () => {
      const { failure } = await watchLog({ ...watched(), maxAgeMs: 1 }, run);
      return failure?.message.endsWith('): exit code 1') === true;
    });
    const blind = await watchLog({ ...watched(), serverLog: null, maxAgeMs: 1 }, run);
    expect(blind.failure?.message).toMatch(/see the server's log$/);
    await query('ALTER SYSTEM RESET archive_command');
    await query('SELECT pg_reload_conf()');
    expect(await query('SHOW archive_command')).toEqual(command);
    await until(async () => (await watchLog({ ...watched(), maxAgeMs: 3_600_000 }, run)).waiting === 0);
  });
});

describe('physical backups', () => {
  it('are none at first, and a diff without a full becomes one and says so', async () => {
    expect(await list()).toEqual([]);
    const said: Progress[] = [];
    const first = await backup(input('diff'), { ...run, progress: (progress) => said.push(progress) });
    expect(first).toMatchObject({ kind: 'full', dependsOn: [], serverMajor: 15, error: false });
    expect(said.some(({ total, unit }) => unit === 'bytes' && (total ?? 0) > 1e6)).toBe(true);
    const [{ id }] = (await query<{ id: string }>(
      'SELECT system_identifier::text AS id FROM pg_control_system()',
    )) as [{ id: string }];
    expect(first.systemIdentifier).toBe(id);

    await query('CREATE TABLE public.t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 100000) i');
    const second = await backup(input('diff'), run);
    expect(second).toMatchObject({ kind: 'diff', dependsOn: [first.id] });
    expect(second.positions.startLog).toMatch(/^0000000100000000/);
    expect(await list()).toEqual([first, second]);
  });

  it('name what is wrong', async () => {
    const failing = (change: Partial<BackupInput>) => backup({ ...input('diff'), ...change }, run);
    const credentials = {
      accessKeyId: s3.accessKeyId,
      secretAccessKey: 'wrongwrongwrong',
      sessionToken: null,
    };
    const cases: [Partial<BackupInput>, string, RegExp][] = [
      [{ access: { ...server.access, password: 'no' } }, 'AuthenticationFailed', /refused user postgres/],
      [{ stanza: 'other' }, 'InvalidConfiguration', /stanza other is not usable/],
      [{ repository: { ...repository, credentials } }, 'RepositoryRefused', /SignatureDoesNotMatch/],
      [{ repository: { ...repository, cipher: 'wrong' } }, 'RepositoryRefused', /cannot be decrypted/],
    ];
    for (const [change, type, message] of cases) {
      await expect(failing(change)).rejects.toMatchObject({ type, message: expect.stringMatching(message) });
    }
    const other = listBackups(
      { repository: { ...repository, cipher: 'wrong' }, stanza: 'shop', systemUser: 'postgres' },
      run,
    );
    await expect(other).rejects.toMatchObject({ type: 'RepositoryRefused' });
  });

  it('survive a killed worker: the next attempt makes one good backup, and no process is left', async () => {
    await query(
      'CREATE TABLE public.filler AS SELECT repeat(md5(random()::text), 60) AS m FROM generate_series(1, 15000)',
    );
    const file = join(folder, 'input.json');
    await writeFile(file, JSON.stringify(input('full')), { mode: 0o600 });
    const worker = spawn(process.execPath, [WORKER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const tool = await copying(worker);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await until(
      async () => !(await readFile(`/proc/${tool}/cmdline`, 'utf8').catch(() => '')).includes('pgbackrest'),
    );

    const before = (await list()).length;
    const second = await backup(input('full'), run);
    expect(second).toMatchObject({ kind: 'full', error: false });
    expect((await list()).length).toBe(before + 1);
  });

  it('between which the tool has expired the logs leave no gap behind', async () => {
    await closeLog(server.access, run);
    await waitForArchived((await closeLog(server.access, run)).log);
    await backup(input('full'), run);
    await backup({ ...input('full'), retentionArchive: 2 }, run);
    const manifests = (await list()).map((one) => ({
      ...base(one.id, 1, 1, { stanza: 'shop' }),
      ...{ kind: one.kind, dependsOn: one.dependsOn, positions: one.positions },
      ...{ startedAt: one.startedAt, finishedAt: one.finishedAt },
    }));
    const known = { manifests, segments: await listArchivedLogs(bucket, 'shop'), heartbeats: [] };
    expect(gapsOf(indexLogs(known)).length).toBeGreaterThan(0);
    expect(continuityOf(known, new Date()).gaps).toEqual([]);
  });

  it('that are expired are gone for the tool, and every version of them is there', async () => {
    const old = (await list()).map(({ id }) => id);
    const last = await backup({ ...input('full'), retentionFull: 1, retentionArchive: 1 }, run);
    expect((await list()).map(({ id }) => id)).toEqual([last.id]);
    for (const id of old) {
      const versions = await collect(bucket.versions(`pgbackrest/backup/shop/${id}/`));
      const markers = versions.filter(({ isDeleteMarker }) => isDeleteMarker);
      expect(markers.length).toBeGreaterThan(0);
      expect(new Set(versions.filter(({ isDeleteMarker }) => !isDeleteMarker).map(({ key }) => key))).toEqual(
        new Set(markers.map(({ key }) => key)),
      );
    }
  });
});

/** The same bucket, as its admin sees it: with a default retention from now on. */
async function openBucket(): Promise<Repository> {
  process.env.PHYSICAL_TEST_KEY = s3.accessKeyId;
  process.env.PHYSICAL_TEST_SECRET = s3.secretAccessKey;
  const { endpoint, region, caFile } = s3;
  const config = configSchema.shape.repository.parse({
    ...{ endpoint, region, caFile, bucket: s3.bucket, prefix: 'fleet/', pathStyle: true },
    credentials: {
      accessKeyId: { env: 'PHYSICAL_TEST_KEY' },
      secretAccessKey: { env: 'PHYSICAL_TEST_SECRET' },
    },
  });
  const opened = await openRepository(config, { use: 'admin', baseDirectory: folder });
  const command = new PutObjectLockConfigurationCommand({
    Bucket: s3.bucket,
    ObjectLockConfiguration: {
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } },
    },
  });
  await opened.connection.request((client) => client.send(command));
  return opened;
}

/** The pid of pgBackRest, once it copies files for this worker. */
async function copying(worker: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: worker.stdout as NodeJS.ReadableStream })) {
    const [phase, pid] = line.split(' ');
    if (phase === 'copying') return Number(pid);
  }
  throw new Error('the worker ended before it copied anything');
}

async function waitForArchived(log: string): Promise<void> {
  await until(async () => {
    const [row] = await query<{ last: string | null }>(
      'SELECT last_archived_wal AS last FROM pg_stat_archiver',
    );
    return (row?.last ?? '') >= log;
  });
}

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 300; round += 1) {
    if (await done()) return;
    await sleep(200);
  }
  throw new Error('waited for a minute');
}
