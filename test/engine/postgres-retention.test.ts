import { PutObjectLockConfigurationCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { BackupInput, PhysicalBackup } from '../../src/engines/contract/backup.ts';
import { backup, listBackups } from '../../src/engines/postgres/backup.ts';
import type { BackupKind, Manifest } from '../../src/model/backup.ts';
import { continuityOf } from '../../src/repository/continuity.ts';
import { toolArchiveFolder, toolBackupFolder } from '../../src/repository/layout.ts';
import { lockToolBackup, lockToolFiles } from '../../src/repository/lock-backup.ts';
import { listArchivedLogs } from '../../src/repository/logs.ts';
import { type ListedVersion, openRepository, type Repository } from '../../src/repository/repository.ts';
import { readRetention } from '../../src/repository/retention.ts';
import { base } from '../unit/repository/recoverability.ts';
import { quietly, type Recovery, recover, STANZA, startRecovery } from './postgres-recovery-fixture.ts';
import { collect } from './repository/fixture.ts';

const DAY_MS = 86_400_000;
const inDays = (days: number) =>
  new Date(Math.ceil(Date.now() / 1_000) * 1_000 + days * DAY_MS).toISOString();

let recovery: Recovery;
let repository: Repository;
const made: PhysicalBackup[] = [];

beforeAll(async () => {
  recovery = await startRecovery();
  const { s3 } = recovery;
  process.env.RETENTION_TEST_KEY = s3.accessKeyId;
  process.env.RETENTION_TEST_SECRET = s3.secretAccessKey;
  const config = configSchema.shape.repository.parse({
    ...{ endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, pathStyle: true, caFile: s3.caFile },
    credentials: {
      accessKeyId: { env: 'RETENTION_TEST_KEY' },
      secretAccessKey: { env: 'RETENTION_TEST_SECRET' },
    },
    lock: { mode: 'GOVERNANCE' },
  });
  repository = await openRepository(config, { use: 'backup', baseDirectory: recovery.directory });
  await recovery.sql('CREATE TABLE public.orders (id int PRIMARY KEY)');
  for (const kind of ['full', 'diff', 'full', 'full'] as const) await take(kind);
});
afterAll(async () => {
  repository?.close();
  await recovery?.end();
});

/** A backup with a row and some logs behind it; the logs of all but the newest two fulls go. */
async function take(kind: BackupKind, change: Partial<BackupInput> = {}): Promise<void> {
  await recovery.sql(`INSERT INTO public.orders VALUES (${made.length + 1})`);
  const { access, dataDirectory } = recovery.production;
  made.push(
    await backup(
      {
        ...{ access, dataDirectory, repository: recovery.repository, stanza: STANZA, kind },
        ...{ systemUser: 'postgres', retentionFull: 9, retentionArchive: 2, ...change },
      },
      quietly,
    ),
  );
  for (let log = 0; log < 2; log += 1) await recovery.archive();
}

const logs = async () =>
  (await listArchivedLogs(repository, STANZA))
    .filter(({ kind }) => kind === 'segment')
    .map(({ name }) => name);
const numberOf = (log: string | null | undefined) => Number.parseInt((log ?? '').slice(-8), 16);
const range = ({ positions }: PhysicalBackup) => {
  const [first, last] = [numberOf(positions.startLog), numberOf(positions.stopLog)];
  return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
};
const manifestOf = (one: PhysicalBackup): Manifest => {
  const { id, kind, startedAt, finishedAt, dependsOn, positions } = one;
  return { ...base(id, 1, 0), kind, startedAt, finishedAt, dependsOn, positions };
};
const folderOf = ({ id }: PhysicalBackup) => `${toolBackupFolder(STANZA)}${id}/`;
/** What the tool reads: it writes some files again and again. */
const current = async (prefix: string): Promise<ListedVersion[]> =>
  (await collect(repository.versions(prefix))).filter(
    ({ isLatest, isDeleteMarker }) => isLatest && !isDeleteMarker,
  );
const locks = async (prefix: string) => {
  const versions = await current(prefix);
  return Promise.all(versions.map(async (version) => (await readRetention(repository, version)).lock?.until));
};
const nth = (index: number) => made[index] as PhysicalBackup;

test('logs before the second newest full go, but for those that make older bases consistent: points, not gaps', async () => {
  const [full, diff, second] = [nth(0), nth(1), nth(2)];
  const kept = (await logs()).map(numberOf);
  const newest = Math.max(...kept);
  const since = Array.from(
    { length: newest - numberOf(second.positions.startLog) + 1 },
    (_, n) => newest - n,
  );
  expect(kept.toSorted((a, b) => a - b)).toEqual([...range(full), ...range(diff), ...since.reverse()]);

  const segments = await listArchivedLogs(repository, STANZA);
  const last = segments.findLast(({ kind }) => kind === 'segment');
  const beat = { at: new Date().toISOString(), position: '0/0', log: last?.name ?? '', timeline: 1 };
  const manifests = made.map(manifestOf);
  const { gaps, intervals } = continuityOf({ manifests, segments, heartbeats: [beat] }, new Date());
  expect(gaps).toEqual([]);
  expect(intervals.map(({ from, to }) => from === to)).toEqual([true, true, false]);
});

test('an old full whose logs have gone is restored to its own point', async () => {
  const place = await recovery.provision('old');
  const { access } = await recover(recovery, place, nth(0).id, { backup: nth(0).id });
  expect(await recovery.value('SELECT count(*) FROM public.orders', access)).toBe('1');
  await recovery.remove('old');
});

test('a lock that was broken off is completed; a complete one asks for nothing more; the tool’s files are locked too', async () => {
  const backup = { database: 'shop', stanza: STANZA, id: nth(0).id };
  const [least, until] = [inDays(3), inDays(5)];
  const broken = new AbortController();
  const breakOff = () => broken.abort(new Error('killed'));
  const run = { signal: broken.signal, progress: breakOff };
  await expect(lockToolBackup(repository, backup, { least, until }, run)).rejects.toThrow('killed');
  expect((await locks(folderOf(nth(0)))).some((lock) => lock === undefined)).toBe(true);
  await lockToolBackup(repository, backup, { least, until }, quietly);
  expect(new Set(await locks(folderOf(nth(0))))).toEqual(new Set([until]));
  let done = 0;
  const counted = { ...quietly, progress: () => (done += 1) };
  await lockToolBackup(repository, backup, { least, until: inDays(9) }, counted);
  expect(done).toBe(0);
  await lockToolFiles(repository, STANZA, until, quietly.signal);
  const files = [`${toolBackupFolder(STANZA)}backup.info`, `${toolArchiveFolder(STANZA)}archive.info`];
  for (const key of [...files, ...files.map((one) => `${one}.copy`)]) {
    const { lock } = await readRetention(repository, { key, versionId: null });
    expect(lock?.until).toBe(until);
  }
});

test('the tool’s own expiry lays markers on a locked full, and nobody removes a version of it', async () => {
  const locked = await current(folderOf(nth(0)));
  await take('full', { retentionFull: 1, retentionArchive: 1 });
  const known = await listBackups(
    { repository: recovery.repository, stanza: STANZA, systemUser: 'postgres' },
    quietly,
  );
  expect(known.map(({ id }) => id)).toEqual([nth(4).id]);
  expect(await collect(repository.list(folderOf(nth(0))))).toEqual([]);
  const history = await collect(repository.list(`${toolBackupFolder(STANZA)}backup.history/`));
  expect(history.map(({ key }) => key)).toEqual([expect.stringContaining(nth(4).id)]);
  const left = (await collect(repository.versions(folderOf(nth(0))))).map(({ versionId }) => versionId);
  for (const { key, versionId } of locked) {
    expect(left).toContain(versionId);
    await expect(repository.remove(key, versionId)).rejects.toMatchObject({ type: 'RepositoryRefused' });
  }
});

test('the bucket’s default retention locks what nobody names: the logs', async () => {
  await repository.connection.request((s3) =>
    s3.send(
      new PutObjectLockConfigurationCommand({
        Bucket: recovery.s3.bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 15 } },
        },
      }),
    ),
  );
  const log = await recovery.archive();
  const key = (await listArchivedLogs(repository, STANZA)).find(({ name }) => name === log)?.key ?? '';
  const [version] = await current(key);
  const { lock } = await readRetention(repository, { key, versionId: null });
  expect(Date.parse(lock?.until ?? '')).toBeGreaterThan(Date.now() + 14 * DAY_MS);
  await expect(repository.remove(key, version?.versionId)).rejects.toMatchObject({
    type: 'RepositoryRefused',
  });
});
