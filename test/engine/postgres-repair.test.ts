import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectLockConfigurationCommand } from '@aws-sdk/client-s3';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { createProtectionActivities } from '../../src/activities/protection.ts';
import { describeDatabase } from '../../src/config/describe.ts';
import type { DatabaseConfig } from '../../src/config/schema.ts';
import { restoreTables } from '../../src/engines/postgres/dumped/restore-tables.ts';
import { fingerprint } from '../../src/engines/postgres/fingerprint.ts';
import { closeLog } from '../../src/engines/postgres/log.ts';
import { runPgbackrest } from '../../src/engines/postgres/pgbackrest.ts';
import type { Catalog, Manifest } from '../../src/model/backup.ts';
import { audit } from '../../src/repository/audit/audit.ts';
import { readAuditFacts } from '../../src/repository/audit/read.ts';
import { mapBounded } from '../../src/repository/bounded.ts';
import { writerPolicy } from '../../src/repository/bucket/policies.ts';
import { readCatalog } from '../../src/repository/catalog.ts';
import { dumpedContent } from '../../src/repository/dumped-content.ts';
import { writeHeartbeat } from '../../src/repository/heartbeats.ts';
import { listArchivedLogs } from '../../src/repository/logs.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { applyRepair } from '../../src/repository/repair/apply.ts';
import { planRepair, type RepairPlan } from '../../src/repository/repair/plan.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { startS3Proxy } from '../e2e/s3-proxy.ts';
import { quietly, type Recovery, recover, STANZA, startRecovery } from './postgres-recovery-fixture.ts';
import { shopOf } from './postgres-shop.ts';
import { collect } from './repository/fixture.ts';
import { roleOf } from './repository/roles.ts';

let recovery: Recovery;
let deps: Dependencies;
let admin: Repository;
let writer: Repository;
let before: Catalog;
let logical: Manifest;
let full: string;
let lastLog: string;
/** the tool's own expiry took it before anybody did harm */
let expired: string;
const madeBy = { workflowId: 'w', runId: 'r' };

const catalog = () =>
  readCatalog(admin, 'shop', { ...describeDatabase(deps.config.config, 'shop'), now: new Date(0) });
const plan = (repository = admin): Promise<RepairPlan> =>
  planRepair(repository, deps.config, ['shop'], { now: new Date(), run: quietly });

/** What the audit says of things that lie under others, and of what that does to the window. */
async function covered(): Promise<string[]> {
  const reading = await readAuditFacts(deps.config, admin, { ...quietly, now: new Date(), thorough: false });
  const told = ['behind-marker', 'overwritten', 'missing', 'window-broken'];
  return audit(reading.facts, 2).findings.flatMap(({ code }) => (told.includes(code) ? code : []));
}

async function backUp(tier: 'physical' | 'logical'): Promise<string> {
  // A lock that ends within the second is refused: the bucket's default has to do.
  const { lock: _, ...unlocked } = deps.config.config.repository;
  const config = { ...deps.config, config: { ...deps.config.config, repository: unlocked } };
  const { takePhysicalBackup } = createProtectionActivities({ ...deps, config });
  const { takeLogicalBackup } = createProtectionActivities(deps);
  const environment = new MockActivityEnvironment();
  const physical = { database: 'shop', kind: 'full' as const, madeBy };
  const made =
    tier === 'physical'
      ? await environment.run(takePhysicalBackup, physical)
      : await environment.run(takeLogicalBackup, { database: 'shop', backup: '20260131T140500Z', madeBy });
  return (made as { id: string }).id;
}

/** Everything that the role may do to a key, in one of the orders in which somebody may do it. */
async function harm(key: string, index: number): Promise<void> {
  const overwrite = () => writer.put(key, `forged ${key}`);
  const remove = () => writer.remove(key);
  const orders = [[overwrite], [remove], [overwrite, remove], [remove, overwrite], [overwrite, overwrite]];
  for (const act of orders[index % orders.length] ?? []) await act();
}

async function keysOf(repository: Repository): Promise<string[]> {
  return [...new Set((await collect(repository.versions(''))).map(({ key }) => key))];
}

beforeAll(async () => {
  recovery = await startRecovery();
  const shop = await shopOf(recovery);
  const { repository } = shop.loaded.config;
  const root = repository.credentials as NonNullable<typeof repository.credentials>;
  // Nothing is promised for long: the tool keeps two fulls, and expires the third.
  const database = shop.loaded.config.databases.shop as DatabaseConfig;
  database.retention = { ...database.retention, physical: '1s', log: '1s' };
  const config = {
    ...shop.loaded.config,
    repository: { ...repository, adminCredentials: root, lock: { mode: 'GOVERNANCE' as const } },
  };
  const credentials = await roleOf(recovery.s3, 'writer', writerPolicy(config));
  const asWriter = { ...config, repository: { ...config.repository, credentials } };
  deps = { ...shop.deps, config: { ...shop.loaded, config: asWriter } };
  const options = { baseDirectory: shop.loaded.directory, patienceMs: 5_000 };
  admin = await openRepository(config.repository, { ...options, use: 'admin' });
  writer = await openRepository(asWriter.repository, { ...options, use: 'backup' });
  await admin.connection.request((s3) =>
    s3.send(
      new PutObjectLockConfigurationCommand({
        Bucket: admin.connection.bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } },
        },
      }),
    ),
  );
  await recovery.sql('CREATE TABLE public.orders (id int PRIMARY KEY)');
  await recovery.sql('INSERT INTO public.orders SELECT generate_series(1, 100)');
  expired = await backUp('physical');
  await backUp('physical');
  await runPgbackrest('expire', [`--set=${expired}`, '--repo1-retention-full=2'], {
    ...{ repository: recovery.repository, stanza: STANZA, signal: quietly.signal, user: 'postgres' },
  });
  full = await backUp('physical');
  await backUp('logical');
  await recovery.sql('INSERT INTO public.orders SELECT generate_series(101, 200)');
  const closed = await closeLog(recovery.production.access, quietly);
  await writeHeartbeat(admin, 'shop', closed);
  lastLog = closed.log;
  while (!(await listArchivedLogs(admin, 'shop')).some(({ name }) => name === lastLog)) await sleep(100);
  before = await catalog();
  const manifests = await listManifests(admin, 'shop');
  logical = manifests.find(({ tier }) => tier === 'logical') as Manifest;
}, 240_000);

afterAll(async () => {
  admin?.close();
  writer?.close();
  await recovery?.end();
});

describe('the writer role deletes and overwrites every key', () => {
  it('has nothing to repair before, though the tool has expired a backup', async () => {
    expect(before.backups.map(({ id }) => id)).not.toContain(expired);
    expect(await plan()).toMatchObject({ mends: [], lost: [], doubts: [] });
  });

  it('cannot delete a single version', async () => {
    // What a repair has put back is vouched for there.
    await expect(writer.put('repair/forged.json', '{}')).rejects.toMatchObject({ type: 'RepositoryRefused' });
    const versions = await collect(admin.versions(''));
    const refused = await mapBounded(versions, 16, ({ key, versionId }) =>
      writer.remove(key, versionId).then(
        () => key,
        () => null,
      ),
    );
    expect(versions.length).toBeGreaterThan(50);
    expect(refused.filter((key) => key !== null)).toEqual([]);
  });

  it('and the logical backup restores at once', async () => {
    const keys = await keysOf(admin);
    await mapBounded([...keys.entries()], 16, ([index, key]) => harm(key, index));
    const [found] = (await listManifests(admin, 'shop')).filter(({ tier }) => tier === 'logical');
    expect(found).toEqual(logical);
    const place = await recovery.provision('dumped');
    const [dumped] = logical.databases.filter(({ name }) => name === 'shop');
    const { objects = [], fingerprints } = dumped ?? {};
    const copy = await restoreTables(
      {
        ...{ place, serverMajor: 15, backup: logical.id, timeline: 1, position: 'its own' },
        ...{ user: 'postgres', database: 'shop', tables: null, sizeBytes: logical.sizeBytes },
        globals: await admin.getText(logical.globals as { key: string; versionId: string }),
        open: (signal) => dumpedContent(admin, objects, signal),
      },
      quietly,
    );
    const { tables } = await fingerprint(
      { ...copy.access, database: 'shop' },
      { hash: fingerprints?.hash ?? '', tables: null },
      quietly,
    );
    expect(tables).toEqual(fingerprints?.tables);
    await recovery.remove('dumped');
  });

  it('the physical one does not: its tool reads what lies on top', async () => {
    const place = await recovery.provision('early');
    await expect(recover(recovery, place, full, { latest: true }, { lastLog })).rejects.toThrow();
    await recovery.remove('early');
  });

  it('cannot take the markers away again, and says so', async () => {
    const { mends } = await plan(writer);
    const markersOnly = mends.filter(({ copy, markers }) => !copy && markers.length > 0).slice(0, 3);
    const { failed, markersRemoved } = await applyRepair(writer, markersOnly, {
      ...{ now: new Date(), run: quietly },
    });
    expect(markersRemoved).toBe(0);
    expect(failed).toHaveLength(3);
    expect(failed[0]).toMatchObject({ hint: expect.stringContaining('adminCredentials') });
  });

  it('until it is repaired, while S3 answers 503 half of the time: everything is what it was', async () => {
    const proxy = await startS3Proxy(recovery.directory, recovery.s3.endpoint);
    proxy.refuseEvery(2);
    const { repository } = deps.config.config;
    const through = await openRepository(
      { ...repository, endpoint: proxy.endpoint },
      { use: 'admin', baseDirectory: deps.config.directory },
    );
    const { mends, lost } = await plan();
    expect(lost).toEqual([]);
    expect(await covered()).toEqual(
      expect.arrayContaining(['behind-marker', 'overwritten', 'window-broken']),
    );
    expect(mends.some(({ key, good }) => key.includes(`/${expired}/`) && good !== null)).toBe(false);
    const repaired = await applyRepair(through, mends, { now: new Date(), run: quietly });
    through.close();
    await proxy.end();
    expect(repaired.failed).toEqual([]);
    expect(repaired.copied).toBe(mends.filter(({ copy }) => copy).length);
    expect(await plan()).toMatchObject({ mends: [], lost: [], doubts: [] });
    expect(await catalog()).toEqual(before);
    // What was put back is told from what was written over a backup: by what the repair has left.
    expect(await covered()).toEqual([]);

    const place = await recovery.provision('after');
    const { access } = await recover(recovery, place, full, { latest: true }, { lastLog });
    expect(await recovery.value('SELECT count(*) FROM public.orders', access)).toBe('200');
    await recovery.remove('after');
  });

  it('and the next backup of the tool goes through', async () => {
    const next = await backUp('physical');
    const found = (await catalog()).backups.filter(({ tier }) => tier === 'physical').map(({ id }) => id);
    expect(found).toContain(next);
    expect(await plan()).toMatchObject({ mends: [], lost: [] });
  });
});
