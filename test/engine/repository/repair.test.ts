import { PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { LoadedConfig } from '../../../src/config/load.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import type { Topology } from '../../../src/model/topology.ts';
import { audit } from '../../../src/repository/audit/audit.ts';
import { listHeartbeats, writeHeartbeat } from '../../../src/repository/heartbeats.ts';
import { heartbeatFolder, snapshotToolFolder, topologyKey } from '../../../src/repository/layout.ts';
import { listManifests, writeManifest } from '../../../src/repository/manifests.ts';
import { applyRepair } from '../../../src/repository/repair/apply.ts';
import { planRepair } from '../../../src/repository/repair/plan.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { listTopologies, writeTopology } from '../../../src/repository/topology.ts';
import { databaseText, exampleConfig } from '../../unit/config/example.ts';
import { base } from '../../unit/repository/recoverability.ts';
import { quietly } from '../postgres-recovery-fixture.ts';
import { plantLogical, readFacts } from './audit-fixture.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let fixture: RepositoryFixture;
let repository: Repository;
let loaded: LoadedConfig;
const now = new Date();
const DAY_MS = 86_400_000;

beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
  const config = exampleConfig({ databases: databaseText('shop') });
  loaded = {
    config: { ...config, repository: fixture.config },
    directory: fixture.directory,
    path: 'holdfast.yaml',
  };
});
beforeEach(async () => {
  for await (const { key, versionId } of repository.versions('')) await repository.remove(key, versionId);
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

const plan = (at = now) => planRepair(repository, loaded, ['shop'], { now: at, run: quietly });
const repair = async (at = now) => {
  const { mends } = await plan(at);
  return applyRepair(repository, mends, { now: at, run: quietly });
};

/** A backup of ours that ended now, of one object. */
async function published(tier: 'logical' | 'snapshot', changes: Partial<Manifest> = {}): Promise<Manifest> {
  const instructions = await repository.put(`${tier}/shop/b1/RESTORE.md`, 'as it was');
  const at = now.toISOString();
  const manifest = base('b1', 1, 10_000, {
    ...{ tier, startedAt: at, finishedAt: at, instructions, ...changes },
  });
  await writeManifest(repository, manifest);
  return manifest;
}

it('puts an object back that was overwritten with as many bytes, once', async () => {
  const { instructions } = await published('logical');
  await repository.put('logical/shop/b1/RESTORE.md', 'as it is.');
  const { mends } = await plan();
  expect(mends).toMatchObject([
    { key: 'logical/shop/b1/RESTORE.md', of: 'logical b1 of shop', copy: true, markers: [] },
  ]);
  expect(mends[0]?.good?.versionId).toBe(instructions?.versionId);
  expect(await repair()).toEqual({ copied: 1, markersRemoved: 0, hidden: 0, failed: [] });
  expect(await repository.getText('logical/shop/b1/RESTORE.md')).toBe('as it was');
  expect((await plan()).mends).toEqual([]);
});

it('brings a backup without a lock back below its marker, and none whose time is over', async () => {
  const manifest = await published('logical', { lockedUntil: null });
  await repository.remove('manifest/shop/b1.json');
  expect(await listManifests(repository, 'shop')).toEqual([]);
  const later = new Date(now.getTime() + 31 * DAY_MS);
  expect((await plan(later)).mends).toEqual([]);
  expect(await repair()).toMatchObject({ copied: 0, markersRemoved: 1 });
  expect(await listManifests(repository, 'shop')).toEqual([manifest]);
});

it('says what is needed and there in no version', async () => {
  const { instructions } = await published('logical');
  await repository.remove('logical/shop/b1/RESTORE.md', instructions?.versionId);
  expect((await plan()).lost).toEqual([{ key: 'logical/shop/b1/RESTORE.md', of: 'logical b1 of shop' }]);
  await repository.put('logical/shop/b1/RESTORE.md', 'forged');
  expect(await plan()).toMatchObject({ mends: [], lost: [{ key: 'logical/shop/b1/RESTORE.md' }] });
});

it("repairs the tool's tree within a snapshot, of which no manifest names a file", async () => {
  const key = `${snapshotToolFolder('shop', 'b1')}/backup/shop/backup.info`;
  await repository.put(key, 'as the tool wrote it');
  await published('snapshot');
  await repository.put(key, 'forged');
  await repository.remove(key);
  expect(await repair()).toMatchObject({ copied: 1, markersRemoved: 1 });
  expect(await repository.getText(key)).toBe('as the tool wrote it');
});

it('brings back heartbeats that were removed before lifecycle would, and verifications that were overwritten', async () => {
  const log = '000000010000000000000005';
  await writeHeartbeat(repository, 'shop', {
    ...{ at: now.toISOString(), log, position: '0/5000148', timeline: 1 },
  });
  const [beat] = await listHeartbeats(repository, 'shop');
  for await (const { key } of repository.list(heartbeatFolder('shop'))) await repository.remove(key);
  const record = (verdict: string) => JSON.stringify({ formatVersion: 1, database: 'shop', verdict });
  await repository.put('verification/shop/b1.json', record('pass'));
  await repository.put('verification/shop/b1.json', record('fail'));
  expect((await plan()).mends.map(({ key }) => key.split('/')[0])).toEqual(['log']);
  await repository.put('verification/shop/b1.json', 'forged');
  expect(await repair()).toMatchObject({ copied: 1, markersRemoved: 1 });
  expect(await listHeartbeats(repository, 'shop')).toEqual([beat]);
  expect(await repository.getText('verification/shop/b1.json')).toBe(record('fail'));
});

it('hides a topology that nobody can read, repairs one that was overwritten, and leaves a marker to people', async () => {
  const topology: Topology = {
    ...{ formatVersion: 1, database: 'shop', by: 'disaster/shop/x', at: now.toISOString(), site: 'here' },
    ...{ host: 'db1', address: { host: '127.0.0.1', port: 5432 }, stanza: 'shop-2', dataDirectory: '/d' },
    ...{ socketDirectory: '/s', systemUser: 'postgres', systemIdentifier: '1', timeline: 2, former: [] },
  };
  await repository.put(topologyKey('other'), 'rubbish');
  await expect(listTopologies(repository)).rejects.toThrow('cannot be understood');
  expect(await repair()).toMatchObject({ hidden: 1 });
  expect(await listTopologies(repository)).toEqual([]);

  await writeTopology(repository, topology);
  await repository.put(topologyKey('shop'), 'rubbish');
  expect(await repair()).toMatchObject({ copied: 1 });
  expect(await listTopologies(repository)).toEqual([topology]);

  await repository.remove(topologyKey('shop'));
  expect(await plan()).toMatchObject({ mends: [], doubts: [{ key: topologyKey('shop') }] });
});

it('leaves a lock that an admin shortened to the audit, which finds it', async () => {
  const until = new Date(now.getTime() + 40 * DAY_MS).toISOString();
  const { databases } = await plantLogical(repository, 'b2', { lockedUntil: until });
  const short = async () => {
    const { facts } = await readFacts(fixture, { now });
    return audit(facts, 30)
      .findings.filter(({ code }) => code === 'lock-short')
      .map(({ what }) => what);
  };
  expect(await short()).toEqual([]);
  const [dump] = databases[0]?.objects ?? [];
  await repository.connection.request((s3) =>
    s3.send(
      new PutObjectRetentionCommand({
        ...{
          Bucket: fixture.config.bucket,
          Key: repository.fullKey(dump?.key ?? ''),
          VersionId: dump?.versionId ?? '',
        },
        Retention: { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + 3_600_000) },
        BypassGovernanceRetention: true,
      }),
    ),
  );
  expect(await short()).toEqual([expect.stringContaining(dump?.key ?? '')]);
  expect((await plan()).mends).toEqual([]);
});
