import { readFile, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import {
  DeleteBucketLifecycleCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startS3 } from '../../../src/client/dev/s3.ts';
import type { StoredObject } from '../../../src/model/backup.ts';
import {
  auditProblems,
  criticalOf,
  readAuditRecord,
  writeAuditRecord,
} from '../../../src/repository/audit/record.ts';
import { auditRepository } from '../../../src/repository/audit/report.ts';
import { manifestKey, toolBackupFolder } from '../../../src/repository/layout.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { databaseText } from '../../unit/config/example.ts';
import {
  configOf,
  DAY,
  logKey,
  logName,
  plantBase,
  plantLogical,
  plantLogs,
  readFacts,
} from './audit-fixture.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';

const FULL = '20261122-200000F';
const DIFF = `${FULL}_20261123-200000D`;

let fixture: RepositoryFixture;
let repository: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
  await plantLogs(repository, [10, 30]);
  await plantBase(repository, FULL, { logs: [12, 13] });
  await plantBase(repository, DIFF, { logs: [20, 21] });
  await plantLogical(repository, '20261123T020000Z-a', {
    lockedUntil: new Date(Date.now() + 3_600_000).toISOString(),
  });
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

const quietly = { signal: new AbortController().signal, progress: () => {} };

const nodesOf = async (options: Parameters<typeof readFacts>[1] = {}) => {
  const { facts, findings } = await readFacts(fixture, options);
  const nodes = new Map(facts.databases[0]?.nodes.map((node) => [node.id, node]));
  return {
    facts,
    findings,
    nodes,
    node: (id: string) => nodes.get(id) as NonNullable<ReturnType<typeof nodes.get>>,
  };
};

test('backups, logs and what they need are read, with locks and keys', async () => {
  const { facts, findings, nodes, node } = await nodesOf();
  expect(findings).toEqual([]);
  expect([...nodes.keys()].toSorted()).toEqual([
    FULL,
    DIFF,
    '20261123T020000Z-a',
    `logs ${logName(10)}..${logName(30)}`,
  ]);
  expect(node(DIFF)).toMatchObject({
    ...{ kind: 'diff', needs: [FULL], readBy: 'key', missing: [] },
    replayFrom: { archive: 'shop/15-1', timeline: 1, first: 20, stop: 21 },
  });
  expect(
    node(FULL)
      .versions.map(({ key }) => key)
      .toSorted(),
  ).toEqual([
    manifestKey('shop', FULL),
    ...['backup.manifest', 'pg_data/base/1/1', 'pg_data/base/1/2'].map(
      (file) => `${toolBackupFolder('shop')}${FULL}/${file}`,
    ),
  ]);
  expect(node(`logs ${logName(10)}..${logName(30)}`)).toMatchObject({
    segments: { archive: 'shop/15-1', timeline: 1, first: 10, last: 30 },
  });
  const logical = node('20261123T020000Z-a');
  expect(logical).toMatchObject({ kind: 'logical', readBy: 'version', missing: [] });
  expect(logical.versions).toHaveLength(3);
  for (const version of logical.versions) {
    expect(version).toMatchObject({
      ...{ under: null, noncurrentSince: null, encrypted: true, legalHold: false },
      ...{ lock: { mode: 'GOVERNANCE' }, kmsKeyId: fixture.server.kmsKeyId },
    });
  }
  expect(facts).toMatchObject({
    ...{ kmsKeyId: fixture.server.kmsKeyId, keys: { [fixture.server.kmsKeyId]: 'enabled' } },
    ...{ orphans: [], bucket: { versioning: 'enabled', objectLock: { retention: null } } },
    repository: { bucket: 'holdfast-test', prefix: 'fleet/', region: 'eu-test-1' },
  });
  expect(facts.toolFiles.map(({ key }) => key).toSorted()).toEqual([
    'pgbackrest/archive/shop/archive.info',
    'pgbackrest/backup/shop/backup.info',
  ]);
  expect(facts.databases[0]?.policy).toMatchObject({ windowMs: 7 * 86_400_000, lock: 'GOVERNANCE' });
  expect(facts.looked).toMatchObject({ versions: 21 + 2 + 6 + 2 + 2 + 1, markers: 0 });
});

test('a lifecycle rule that kills a base is found in the bucket, with its day', async () => {
  const client = new S3Client({ ...(await clientOf(fixture)), forcePathStyle: true });
  const rule: LifecycleRule = {
    ID: 'tidy',
    Status: 'Enabled',
    Filter: { Prefix: 'fleet/pgbackrest/backup/' },
    Expiration: { Days: 10 },
  };
  const { bucket: Bucket } = fixture.config;
  await client.send(
    new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [rule] } }),
  );
  const options = { ...quietly, now: new Date(), thorough: false };
  const { findings } = await auditRepository(configOf(fixture), repository, options);
  await client.send(new DeleteBucketLifecycleCommand({ Bucket }));
  client.destroy();
  const { node } = await nodesOf({ now: options.now });
  const [first] = node(FULL).versions.filter(({ key }) => key.startsWith('pgbackrest/'));
  const dies = new Date(Math.ceil((first?.writtenAt ?? 0) / DAY + 10) * DAY).toISOString().slice(0, 10);
  expect(findings.find(({ code }) => code === 'expires-too-early')).toMatchObject({
    ...{ severity: 'critical', database: 'shop', firstDay: dies },
    what: expect.stringContaining('tidy'),
  });
  // The logical backup is locked for an hour, and promised for a month.
  expect(findings.find(({ code }) => code === 'lock-short')).toMatchObject({ database: 'shop' });
});

test('what was critical at the last audit is kept for those that read the repository alone', async () => {
  expect(await readAuditRecord(repository)).toBeNull();
  const finding = { severity: 'critical', code: 'missing', firstDay: null, hint: 'look' } as const;
  const [own, all] = [
    { ...finding, database: 'shop', what: 'the base of shop is gone' },
    { ...finding, database: null, what: 'the key is disabled' },
  ];
  await writeAuditRecord(repository, {
    ...{ at: '2026-11-25T06:00:00Z', repository: { bucket: 'b', prefix: '', region: 'r' }, calendars: [] },
    looked: { versions: 0, markers: 0, bytes: 0, headed: 0 },
    findings: [own, all, { ...own, severity: 'info' }],
  });
  const record = await readAuditRecord(repository);
  const dated = <T extends { what: string }>(one: T) => ({
    ...one,
    what: `${one.what} (audit of 2026-11-25T06:00:00Z)`,
  });
  expect(criticalOf(record, 'shop')).toEqual([dated(own), dated(all)]);
  expect(criticalOf(record, 'crm')).toEqual([dated(all)]);
  expect(auditProblems(record)).toMatchObject([
    {
      database: 'shop',
      severity: 'critical',
      what: 'the base of shop is gone (audit of 2026-11-25T06:00:00Z)',
    },
    { database: null, hint: 'look', told: 'all' },
  ]);
  // It is nothing that an audit would wonder about.
  expect((await nodesOf()).facts.orphans).toEqual([]);
});

test('what lies under markers or a newer version is the version that counts, and says so', async () => {
  await repository.remove(logKey(25));
  const file = `${toolBackupFolder('shop')}${FULL}/pg_data/base/1/1`;
  await repository.put(file, 'forged');
  const { nodes, node, facts } = await nodesOf();
  expect([...nodes.keys()].filter((id) => id.startsWith('logs'))).toEqual([
    `logs ${logName(10)}..${logName(24)}`,
    `logs ${logName(25)}..${logName(25)}`,
    `logs ${logName(26)}..${logName(30)}`,
  ]);
  expect(node(`logs ${logName(25)}..${logName(25)}`).versions).toMatchObject([{ under: 'marker' }]);
  const forged = node(FULL).versions.filter(({ key }) => key === file);
  expect(forged).toMatchObject([{ under: 'version', sizeBytes: 'pg_data/base/1/1'.length }]);
  expect(facts.looked.markers).toBe(1);
});

test('what a manifest names and is gone for good is missing; so is a log', async () => {
  const manifest = await plantLogical(repository, '20261124T020000Z-b');
  const [{ key, versionId }] = manifest.databases.map(({ schema }) => schema) as [StoredObject];
  await repository.remove(key, versionId);
  const log = await collect(repository.versions(logKey(28)));
  await repository.remove(logKey(28), log[0]?.versionId);
  const { nodes, node } = await nodesOf();
  expect(node('20261124T020000Z-b')).toMatchObject({ missing: [key] });
  expect([...nodes.keys()].filter((id) => id.startsWith('logs')).slice(-2)).toEqual([
    `logs ${logName(26)}..${logName(27)}`,
    `logs ${logName(29)}..${logName(30)}`,
  ]);
});

test('an aborted full, attempts without a manifest and backups of other databases are named, and nothing else of them is', async () => {
  await plantBase(repository, '20261124-200000F', {
    files: ['backup.manifest.copy', 'pg_data/a'],
    publish: false,
  });
  await plantBase(repository, '20261120-200000F', { publish: false });
  await repository.put('logical/shop/20261125T020000Z-c/a1/shop.dump', 'half');
  await plantLogs(repository, [1, 2], 'crm');
  await plantBase(repository, FULL, { stanza: 'crm', publish: false });
  await plantLogical(repository, '20261124T020000Z-d', { database: 'crm' });
  await repository.put('holiday/photo.jpg', 'beach');
  const { facts, nodes } = await nodesOf();
  expect(facts.orphans.map(({ why, database, versions }) => [why, database, versions.length])).toEqual([
    ['backup 20261124-200000F of shop was never completed: it has no backup.manifest', 'shop', 2],
    ['crm is no database of the configuration, and its backups are here', null, 3],
    ["holiday/ is nothing of Holdfast's", null, 1],
    ['logical/shop/20261125T020000Z-c/ has no manifest: it is no backup', 'shop', 1],
    ['no manifest names backup 20261120-200000F of shop in stanza shop', 'shop', 3],
    ['stanza crm of pgBackRest is of no database of the configuration', null, 7],
  ]);
  expect([...nodes.keys()]).not.toContain('20261124-200000F');
  // What is young may still be being made.
  const young = await nodesOf({ now: new Date() });
  expect(young.facts.orphans.map(({ database }) => database)).toEqual([null, null, null]);
});

test('a database that may not be listed is said, and the others are read', async () => {
  const databases = databaseText('shop') + databaseText('crm');
  const sts = new STSClient(await clientOf(fixture));
  const bucket = `arn:aws:s3:::${fixture.config.bucket}`;
  const allowed = (Effect: string, Action: string, Resource: string, more = {}) => ({
    Effect,
    Action,
    Resource,
    ...more,
  });
  const { Credentials: made } = await sts.send(
    new AssumeRoleCommand({
      ...{ RoleArn: 'arn:aws:iam::000000000000:role/x', RoleSessionName: 'x' },
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          ...[allowed('Allow', 's3:*', bucket), allowed('Allow', 's3:*', `${bucket}/*`)],
          allowed('Deny', 's3:ListBucket*', bucket, {
            Condition: { StringEquals: { 's3:prefix': ['fleet/logical/shop/'] } },
          }),
          allowed('Deny', 's3:GetObject*', `${bucket}/fleet/manifest/crm/*`),
        ],
      }),
    }),
  );
  sts.destroy();
  process.env.AUDIT_TEST_KEY = made?.AccessKeyId;
  process.env.AUDIT_TEST_SECRET = made?.SecretAccessKey;
  process.env.AUDIT_TEST_TOKEN = made?.SessionToken;
  const credentials = {
    accessKeyId: { env: 'AUDIT_TEST_KEY' },
    secretAccessKey: { env: 'AUDIT_TEST_SECRET' },
    sessionToken: { env: 'AUDIT_TEST_TOKEN' },
  };
  const config = { ...fixture.config, credentials };
  const confined = await openRepository(config, { use: 'backup', baseDirectory: fixture.directory });
  const { facts, findings } = await readFacts(fixture, { repository: confined, databases });
  confined.close();
  expect(facts.databases).toEqual([]);
  expect(findings.map(({ code, severity, database }) => [code, severity, database])).toEqual([
    ['not-looked-at', 'critical', 'crm'],
    ['not-looked-at', 'critical', 'shop'],
  ]);
  // Nothing of what could not be read is called an orphan.
  expect(facts.orphans.map(({ why }) => why)).toEqual(["holiday/ is nothing of Holdfast's"]);
});

test('a key that opens nothing any more is found by reading, and so is one in a database that cannot be read for it', async () => {
  const { directory, server } = fixture;
  await server.stop();
  const file = join(directory, 's3', 'credentials.json');
  const credentials = JSON.parse(await readFile(file, 'utf8')) as object;
  const kmsKey = Buffer.alloc(32, 7).toString('base64');
  await writeFile(file, JSON.stringify({ ...credentials, kmsKey }));
  const { port } = new URL(server.endpoint);
  const { region, bucket } = fixture.config;
  const again = await startS3({ directory: join(directory, 's3'), port: Number(port), region, bucket });
  try {
    const { facts, findings } = await readFacts(fixture);
    expect(facts.keys).toEqual({ [server.kmsKeyId]: 'disabled' });
    expect(findings).toMatchObject([{ code: 'not-looked-at', database: 'shop' }]);
    const options = { ...quietly, now: new Date(), thorough: false };
    const report = await auditRepository(configOf(fixture), repository, options);
    expect(report.findings.filter(({ code }) => code === 'key-unusable')).toMatchObject([
      { severity: 'critical', what: expect.stringContaining(server.kmsKeyId) },
    ]);
  } finally {
    await again.stop();
  }
});

async function clientOf({ server }: RepositoryFixture) {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const httpsAgent = new Agent({ ca: await readFile(server.caFile) });
  return {
    ...{ endpoint, region, credentials: { accessKeyId, secretAccessKey } },
    requestHandler: new NodeHttpHandler({ httpsAgent }),
  };
}
