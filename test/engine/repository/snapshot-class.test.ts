import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createPlanningActivities } from '../../../src/activities/planning.ts';
import type { BackupSummary } from '../../../src/activities/publish.ts';
import type { Base } from '../../../src/activities/recovery-types.ts';
import { createSnapshotActivities } from '../../../src/activities/snapshotting.ts';
import { createThawingActivities } from '../../../src/activities/thawing.ts';
import { loopbackCertificate } from '../../../src/client/dev/s3-certificate.ts';
import type { Manifest, StoredObject } from '../../../src/model/backup.ts';
import {
  instructionsKey,
  manifestKey,
  snapshotFolder,
  verificationKey,
} from '../../../src/repository/layout.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { ENGINES } from '../../../src/workers/engines.ts';
import { type Moto, startMoto } from '../../moto.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { base, logName } from '../../unit/repository/recoverability.ts';
import { blocksOf } from '../restore-document.ts';
import { collect } from './fixture.ts';

const LARGE = Buffer.alloc(200 * 1024, 'x');
const AT = '2026-01-31T17:00:00Z';
const FULL = '20260131-000010F';
const DUMP = '20260131T020000Z';

let directory: string;
let moto: Moto;
let repository: Repository;
let deps: Dependencies;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-class-'));
  const { caFile, certsDirectory } = await loopbackCertificate(join(directory, 'moto'));
  moto = await startMoto({ certsDirectory });
  process.env.CLASS_TEST_KEY = 'key';
  const key = { env: 'CLASS_TEST_KEY' };
  const config = exampleConfig();
  config.repository = {
    ...{ region: 'eu-west-1', bucket: 'backups', prefix: 'fleet/', pathStyle: true, storageClasses: true },
    ...{ endpoint: moto.endpoint, caFile, credentials: { accessKeyId: key, secretAccessKey: key } },
  };
  repository = await openRepository(config.repository, { use: 'backup', baseDirectory: directory });
  await repository.connection.request((s3) =>
    s3.send(new CreateBucketCommand({ Bucket: 'backups', ObjectLockEnabledForBucket: true })),
  );
  deps = {
    config: { config, directory, path: join(directory, 'holdfast.yaml') },
    client: {} as Dependencies['client'],
    engines: ENGINES,
    logger: pino({ enabled: false }),
    metrics: NO_METRICS,
    host: 'db1',
  };
  await writePhysical();
  await writeLogical();
});
afterAll(async () => {
  repository?.close();
  await moto?.end();
  await rm(directory, { recursive: true, force: true });
});

async function writePhysical(): Promise<void> {
  const backups = 'pgbackrest/backup/shop/';
  const archive = 'pgbackrest/archive/shop/';
  const small = ['backup.info', 'backup.info.copy', `${FULL}/backup.manifest`].map(
    (name) => `${backups}${name}`,
  );
  for (const key of [...small, `${archive}archive.info`, `${archive}archive.info.copy`]) {
    await repository.put(key, 'small');
  }
  await repository.put(`${backups}${FULL}/bundle/1`, LARGE);
  const log = logName(1);
  await repository.put(`${archive}15-1/${log.slice(0, 16)}/${log}-${'a'.repeat(40)}.zst`, LARGE);
  await writeManifest(base(FULL, 1, 12_000));
}

async function writeLogical(): Promise<void> {
  const put = (name: string, body: string | Buffer) =>
    repository.put(`logical/shop/${DUMP}/attempt/${name}`, body);
  await writeManifest(
    base(DUMP, 1, 12_000, {
      tier: 'logical',
      databases: [
        {
          ...{ name: 'shop', fingerprints: null },
          objects: [await put('shop.dump.zst', LARGE)],
          schema: await put('shop.schema.sql', 'small'),
        },
      ],
      globals: await put('globals.sql', 'small'),
      relations: await put('relations.json', `[${' '.repeat(LARGE.length)}]`),
    }),
  );
}

const writeManifest = (manifest: Manifest): Promise<StoredObject> =>
  repository.put(manifestKey('shop', manifest.id), JSON.stringify(manifest));

const take = (backup: string): Promise<BackupSummary> =>
  new MockActivityEnvironment().run(createSnapshotActivities(deps).takeSnapshot, {
    ...{ database: 'shop', backup, at: AT, madeBy: { workflowId: 'w', runId: 'r' } },
  });

async function classesOf(id: string): Promise<Record<string, string | null>> {
  const folder = snapshotFolder('shop', id);
  const found = await collect(repository.list(folder));
  return Object.fromEntries(found.map(({ key, storageClass }) => [key.slice(folder.length), storageClass]));
}

/** How many objects are still to come. */
async function thaw(base: Base): Promise<number> {
  const { requestThaw } = createThawingActivities(deps);
  const thawing: Promise<{ left: number }> = new MockActivityEnvironment().run(requestThaw, {
    ...{ database: 'shop', base },
  });
  return (await thawing).left;
}

test('a physical one lies in the deep archive, save for what is small or read at any time, and is thawed from there', async () => {
  const { id } = await take(FULL);
  const log = logName(1);
  expect(await classesOf(id)).toEqual({
    [`pgbackrest/backup/shop/${FULL}/bundle/1`]: 'DEEP_ARCHIVE',
    [`pgbackrest/archive/shop/15-1/${log.slice(0, 16)}/${log}-${'a'.repeat(40)}.zst`]: 'DEEP_ARCHIVE',
    [`pgbackrest/backup/shop/${FULL}/backup.manifest`]: 'STANDARD',
    ...{
      'pgbackrest/backup/shop/backup.info': 'STANDARD',
      'pgbackrest/backup/shop/backup.info.copy': 'STANDARD',
    },
    'pgbackrest/archive/shop/archive.info': 'STANDARD',
    ...{ 'pgbackrest/archive/shop/archive.info.copy': 'STANDARD', 'RESTORE.md': 'STANDARD' },
  });
  const { chooseBase } = createPlanningActivities(deps);
  const chosen: Base = await new MockActivityEnvironment().run(chooseBase, {
    ...{ database: 'shop', target: { backup: id }, tables: null, preferred: null },
  });
  expect(chosen).toMatchObject({
    ...{ backup: id, snapshotOf: FULL, stanza: 'shop', logs: 1 },
    archived: { storageClass: 'DEEP_ARCHIVE', objects: 2, bytes: 2 * LARGE.length, hours: 12 },
  });
  expect(chosen.notices[0]).toMatch(/2 objects .* in DEEP_ARCHIVE .* about 12 h with tier Standard/);
  // moto brings everything back at once.
  expect(await thaw(chosen)).toBe(2);
  expect(await thaw(chosen)).toBe(0);
  const document = await repository.getText(instructionsKey('shop', 'snapshot', id));
  expect(blocksOf(document ?? '', 'sh-thaw').join('\n')).toContain(
    `--prefix fleet/${snapshotFolder('shop', id)}`,
  );
});

test('a logical one too; where its tables lay can be read at once', async () => {
  const { id } = await take(DUMP);
  expect(await classesOf(id)).toEqual({
    'shop.dump.zst': 'DEEP_ARCHIVE',
    ...{ 'shop.schema.sql': 'STANDARD', 'globals.sql': 'STANDARD' },
    ...{ 'relations.json': 'STANDARD', 'RESTORE.md': 'STANDARD' },
  });
  const { chooseLogicalBackup } = createPlanningActivities(deps);
  const choose = (): Promise<Base> =>
    new MockActivityEnvironment().run(chooseLogicalBackup, { database: 'shop', backup: id, tables: null });
  const chosen = await choose();
  expect(chosen).toMatchObject({
    backup: id,
    archived: { storageClass: 'DEEP_ARCHIVE', objects: 1, hours: 12 },
  });
  expect(await thaw(chosen)).toBe(1);
  expect((await choose()).archived).toBeUndefined();
});

test('what lies in an archive class cannot be copied: another backup of the month is, or none, and that is said', async () => {
  const [deep, whole] = [`${FULL}-deep`, `${FULL}-whole`];
  const manifest = (id: string) => `pgbackrest/backup/shop/${id}/backup.manifest`;
  const object = { Bucket: 'backups', Key: repository.fullKey(manifest(deep)), Body: LARGE };
  const archived = new PutObjectCommand({ ...object, StorageClass: 'GLACIER' });
  await repository.connection.request((s3) => s3.send(archived));
  await expect(take((await inFebruary(deep, 1)).id)).rejects.toMatchObject({
    details: [expect.stringContaining('is in an archive class')],
  });

  const { chooseSnapshot } = createSnapshotActivities(deps);
  const choose = () =>
    new MockActivityEnvironment().run(chooseSnapshot, { database: 'shop', at: '2026-02-25T17:00:00Z' });
  expect(await choose()).toEqual({ id: null, skipped: expect.stringMatching(/is in an archive class/) });
  await repository.put(manifest(whole), 'small');
  await inFebruary(whole, 2);
  expect(await choose()).toEqual({ backup: whole });
});

/** A backup of that day, verified. */
async function inFebruary(id: string, day: number): Promise<Manifest> {
  const finishedAt = `2026-02-0${day}T20:00:00Z`;
  const manifest = { ...base(id, 1, 12_000), finishedAt };
  await writeManifest(manifest);
  const record = {
    formatVersion: 1,
    database: 'shop',
    backup: id,
    tier: 'physical',
    verdict: 'pass',
    finishedAt,
  };
  await repository.put(verificationKey('shop', id), JSON.stringify(record));
  return manifest;
}
