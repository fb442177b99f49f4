import { CreateBucketCommand, PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoadedConfig } from '../../../src/config/load.ts';
import type { Config, RepositoryConfig } from '../../../src/config/schema.ts';
import type { Finding } from '../../../src/model/finding.ts';
import { applySettings } from '../../../src/repository/bucket/apply.ts';
import { checkBucket, type LeftProbe } from '../../../src/repository/bucket/check/check.ts';
import { desiredSettings } from '../../../src/repository/bucket/desired.ts';
import { restorePolicy, writerPolicy } from '../../../src/repository/bucket/policies.ts';
import { readBucketSettings } from '../../../src/repository/bucket/read.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { startS3Proxy } from '../../e2e/s3-proxy.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';
import { roleOf } from './roles.ts';

let fixture: RepositoryFixture;
let config: Config;
let admin: Repository;
let root: NonNullable<RepositoryConfig['credentials']>;

beforeAll(async () => {
  fixture = await startRepository({ lock: { mode: 'COMPLIANCE' } });
  config = { ...exampleConfig(), repository: fixture.config };
  root = fixture.config.credentials as typeof root;
  config.repository = {
    ...config.repository,
    adminCredentials: root,
    credentials: await roleOf(fixture.server, 'writer', writerPolicy(config)),
    restoreCredentials: await roleOf(fixture.server, 'restore', restorePolicy(config)),
  };
  admin = await fixture.open();
  await applySettings(admin.connection, desiredSettings(config));
});

afterAll(async () => {
  admin?.close();
  await fixture?.dispose();
});

async function check(changes: Partial<RepositoryConfig> = {}) {
  const changed = { ...config, repository: { ...config.repository, ...changes } };
  const loaded: LoadedConfig = { config: changed, directory: fixture.directory, path: 'holdfast.yaml' };
  const checking = checkBucket(loaded, {
    ...{ now: new Date(), patienceMs: 30_000, signal: AbortSignal.timeout(60_000) },
  });
  const findings: Finding[] = [];
  for (;;) {
    const { value, done } = await checking.next();
    if (done === true) return { findings, left: value as LeftProbe[] };
    findings.push(value as Finding);
  }
}

const failed = (findings: readonly Finding[]) =>
  findings.filter(({ ok }) => !ok).map(({ check: name }) => name);

describe('where every role has its policy', () => {
  it('finds nothing, and says what it leaves behind', async () => {
    const { findings, left } = await check();
    expect(failed(findings)).toEqual([]);
    expect(findings.length).toBeGreaterThan(20);
    expect(left.map(({ key }) => key.replace(/^doctor\/check-[^/]+\//, ''))).toEqual([
      ...['an-upload-that-names-no-key', 'locked'],
    ]);
    // Below a delete marker, for as short as a lock can be, and not for the default of the bucket.
    for (const { lockedUntil } of left)
      expect(Date.parse(lockedUntil ?? '') - Date.now()).toBeLessThan(120_000);
    expect(await collect(admin.list('doctor/'))).toEqual([]);
  });

  it('finds nothing either while S3 answers 503 half of the time', async () => {
    const proxy = await startS3Proxy(fixture.directory, fixture.server.endpoint);
    proxy.refuseEvery(2);
    const { findings } = await check({ endpoint: proxy.endpoint });
    await proxy.end();
    expect(failed(findings)).toEqual([]);
  });
});

describe('where they have too much', () => {
  it('finds each thing that went through, and changes no setting while it tries', async () => {
    const before = await readBucketSettings(admin.connection);
    const { findings } = await check({ credentials: root, restoreCredentials: root });
    expect(failed(findings)).toEqual([
      'writer: deletes a version without a lock',
      ...['restore role: writes', 'restore role: deletes'],
      ...['lifecycle', 'policy', 'versioning', 'default retention', 'encryption'].map(
        (setting) => `writer: changes the bucket's ${setting}`,
      ),
      'an upload with another key',
    ]);
    expect(findings.filter(({ ok }) => !ok).every(({ hint }) => hint !== null)).toBe(true);
    expect(await readBucketSettings(admin.connection)).toEqual(before);
  });

  it('finds a lock of GOVERNANCE that the writer can lift', async () => {
    const { findings } = await check({ lock: { mode: 'GOVERNANCE' }, credentials: root });
    expect(failed(findings)).toEqual(
      expect.arrayContaining(['settings', 'writer: deletes a locked version']),
    );
  });

  it('finds a store that lets everybody shorten such a lock who may set one', async () => {
    const { findings } = await check({ lock: { mode: 'GOVERNANCE' } });
    expect(failed(findings)).toEqual(['settings', 'writer: shortens a lock']);
    expect(findings.find(({ check: name }) => name === 'writer: shortens a lock')?.hint).toContain(
      'COMPLIANCE',
    );
  });
});

describe('where something is missing', () => {
  it('finds a bucket without Object Lock, and that nothing in it is locked', async () => {
    const bucket = 'without-lock';
    await admin.connection.request((s3) => s3.send(new CreateBucketCommand({ Bucket: bucket })));
    const { findings, left } = await check({ bucket, credentials: root, restoreCredentials: root });
    expect(findings.map(({ check: name, ok }) => [name, ok])).toEqual([
      ['settings', false],
      ['writer: writes with a lock', false],
    ]);
    expect(findings[1]?.hint).toContain('ObjectLock');
    expect(left).toEqual([]);
  });

  it('finds a bucket that everybody can read', async () => {
    const bucket = 'public-lock';
    const policy = {
      Version: '2012-10-17',
      Statement: [
        {
          ...{ Effect: 'Allow', Principal: { AWS: ['*'] } },
          Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:ListBucket'],
          Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
        },
      ],
    };
    await admin.connection.request(async (s3) => {
      await s3.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
      await s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(policy) }));
    });
    const { findings } = await check({ bucket, credentials: root });
    expect(failed(findings)).toEqual(
      expect.arrayContaining(['without credentials: lists', 'without credentials: reads']),
    );
  });

  it('takes no refusal of wrong credentials for protection', async () => {
    process.env.TEST_ROLE_WRONG = 'wrongwrongwrong';
    const wrong = { ...root, secretAccessKey: { env: 'TEST_ROLE_WRONG' } };
    const { findings } = await check({ restoreCredentials: wrong });
    expect(failed(findings)).toEqual([
      ...['restore role: reads versions', 'restore role: reads versions below a delete marker'],
      ...['restore role: writes', 'restore role: deletes'],
    ]);
  });
});
