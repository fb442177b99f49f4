import {
  PutBucketLifecycleConfigurationCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asAdmin } from '../../../src/client/repository-plan.ts';
import type { Config } from '../../../src/config/schema.ts';
import { applySettings } from '../../../src/repository/bucket/apply.ts';
import { desiredSettings } from '../../../src/repository/bucket/desired.ts';
import { difference } from '../../../src/repository/bucket/difference.ts';
import { readBucketSettings } from '../../../src/repository/bucket/read.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let fixture: RepositoryFixture;
let admin: Repository;
let config: Config;

beforeAll(async () => {
  fixture = await startRepository();
  config = { ...exampleConfig(), repository: fixture.config };
  admin = await fixture.open();
});
afterAll(async () => {
  admin?.close();
  await fixture?.dispose();
});

const plan = async () => difference(await readBucketSettings(admin.connection), desiredSettings(config));
const send = (command: never) => admin.connection.request((s3) => s3.send(command));

test('what a plan names is applied, and then there is nothing to do', async () => {
  const before = await plan();
  expect(before.changes.map(({ aspect }) => aspect)).toContain('object-lock');
  // MinIO has neither, and forgets the third.
  expect(before.lacking.map(({ aspect }) => aspect)).toEqual([
    ...['public-access-block', 'policy', 'uploads'],
  ]);
  expect(await applySettings(admin.connection, desiredSettings(config))).toEqual(before);
  expect((await plan()).changes).toEqual([]);
  expect((await applySettings(admin.connection, desiredSettings(config))).changes).toEqual([]);
  const { objectLock, encryption } = await readBucketSettings(admin.connection);
  expect(objectLock?.retention?.mode).toBe('GOVERNANCE');
  expect(encryption).toMatchObject({ algorithm: 'aws:kms', kmsKeyId: fixture.config.kmsKeyId });
});

test('what is written from then on is locked, whoever writes it', async () => {
  const { versionId } = await admin.put('log/shop/one', 'content');
  await expect(admin.remove('log/shop/one', versionId)).rejects.toMatchObject({ type: 'RepositoryRefused' });
});

test("a rule of somebody else's is kept and named", async () => {
  const { rules } = await readBucketSettings(admin.connection);
  const foreign = {
    ...{ ID: 'reports', Status: 'Enabled' as const, Filter: { Prefix: 'reports/' } },
    Expiration: { Days: 3 },
  };
  await send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket: fixture.config.bucket,
      LifecycleConfiguration: { Rules: [foreign] },
    }) as never,
  );
  const { changes, kept } = await plan();
  expect(kept).toEqual([{ aspect: 'lifecycle', item: 'reports', what: 'reports/: expires after 3 days' }]);
  expect(changes).toHaveLength(rules.length);
  await applySettings(admin.connection, desiredSettings(config));
  const after = await readBucketSettings(admin.connection);
  expect(after.rules.map(({ id }) => id).sort()).toEqual(['reports', ...rules.map(({ id }) => id)].sort());
  expect((await plan()).changes).toEqual([]);
});

test('a default that somebody made longer is shortened, for new objects only, and that is said', async () => {
  await send(
    new PutObjectLockConfigurationCommand({
      Bucket: fixture.config.bucket,
      ObjectLockConfiguration: {
        ObjectLockEnabled: 'Enabled',
        Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Years: 1 } },
      },
    }) as never,
  );
  const { changes } = await plan();
  expect(changes).toMatchObject([
    { aspect: 'object-lock', is: 'COMPLIANCE for 365 days', willBe: expect.stringContaining('new objects') },
  ]);
  await applySettings(admin.connection, desiredSettings(config));
  expect((await plan()).changes).toEqual([]);
});

test('the roles see the settings, and neither may change them', async () => {
  const { writerCredentials, restoreCredentials } = fixture.server;
  for (const given of [writerCredentials, restoreCredentials]) {
    Object.assign(process.env, {
      ...{ BUCKET_TEST_ID: given.accessKeyId, BUCKET_TEST_KEY: given.secretAccessKey },
      BUCKET_TEST_TOKEN: given.sessionToken,
    });
    const credentials = {
      ...{ accessKeyId: { env: 'BUCKET_TEST_ID' }, secretAccessKey: { env: 'BUCKET_TEST_KEY' } },
      sessionToken: { env: 'BUCKET_TEST_TOKEN' },
    };
    const { retention } = config.databases.shop as Config['databases'][string];
    const longer = {
      ...config,
      repository: { ...fixture.config, credentials },
      databases: { shop: { ...config.databases.shop, retention: { ...retention, log: '8d' } } },
    } as Config;
    const loaded = { config: longer, directory: fixture.directory, path: '' };
    const seen = await asAdmin(loaded, ({ connection }) => readBucketSettings(connection));
    expect(seen).toEqual(await readBucketSettings(admin.connection));
    const changed = asAdmin(loaded, ({ connection }) => applySettings(connection, desiredSettings(longer)));
    await expect(changed).rejects.toMatchObject({
      type: 'RepositoryRefused',
      hint: expect.stringContaining('repository.adminCredentials'),
    });
  }
  expect((await plan()).changes).toEqual([]);
});

test('a bucket that was made without Object Lock is refused, with what S3 says', async () => {
  const { CreateBucketCommand } = await import('@aws-sdk/client-s3');
  await send(new CreateBucketCommand({ Bucket: 'without-lock' }) as never);
  const repository = { ...fixture.config, bucket: 'without-lock' };
  const other = await openRepository(repository, { use: 'admin', baseDirectory: fixture.directory });
  await expect(
    applySettings(other.connection, desiredSettings({ ...config, repository })),
  ).rejects.toMatchObject({
    type: 'RepositoryRefused',
    message: expect.stringMatching(/made without Object Lock.*cannot be enabled on existing buckets/),
    hint: expect.stringContaining('new bucket'),
  });
  other.close();
});
