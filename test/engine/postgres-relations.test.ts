import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { createPlanningActivities } from '../../src/activities/planning.ts';
import { createProtectionActivities } from '../../src/activities/protection.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import { listRelations } from '../../src/engines/postgres/relations.ts';
import { resolveKnownTables, resolveTables } from '../../src/engines/postgres/resolve.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { orDropped, readRelations } from '../../src/repository/relations.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { quietly, type Recovery, startRecovery } from './postgres-recovery-fixture.ts';
import { shopOf } from './postgres-shop.ts';
import { collect } from './repository/fixture.ts';

let recovery: Recovery;
let repository: Repository;
let deps: Dependencies;

beforeAll(async () => {
  recovery = await startRecovery();
  const shop = await shopOf(recovery);
  deps = shop.deps;
  const { config, directory } = shop.loaded;
  repository = await openRepository(config.repository, { use: 'backup', baseDirectory: directory });
  await recovery.sql(`CREATE TABLE public.orders (id int PRIMARY KEY);
    CREATE SCHEMA "Odd.Name"; CREATE TABLE "Odd.Name"."Order; ""x""" (i int);
    CREATE UNLOGGED TABLE public.scratch (i int); CREATE VIEW public.seen AS SELECT 1 AS one;
    CREATE TABLE public.events (day int, kind text) PARTITION BY LIST (kind);
    CREATE TABLE public.events_a PARTITION OF public.events FOR VALUES IN ('a') PARTITION BY RANGE (day);
    CREATE TABLE public.events_a_1 PARTITION OF public.events_a FOR VALUES FROM (0) TO (10);
    CREATE TABLE public.events_b PARTITION OF public.events FOR VALUES IN ('b')`);
  await recovery.sql('CREATE DATABASE other');
  await recovery.sql('CREATE TABLE public.things (i int)', {
    ...recovery.production.access,
    database: 'other',
  });
});

afterAll(async () => {
  repository?.close();
  await recovery?.end();
});

const nodeOf = (table: string) =>
  recovery.value(`SELECT '1663/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' ||
    pg_relation_filenode('${table}')`);

it('every logged table of every db has its place, a partitioned one those of all its leaves', async () => {
  const { relations: found } = await listRelations(recovery.production.access, quietly);
  const placesOf = (table: string) =>
    found.filter((one) => one.db === 'shop' && one.table === table).map(({ node }) => node);
  expect(placesOf('public.orders')).toEqual([await nodeOf('public.orders')]);
  expect(placesOf('"Odd.Name"."Order; ""x"""')).toHaveLength(1);
  const leaves = [await nodeOf('public.events_a_1'), await nodeOf('public.events_b')];
  expect(placesOf('public.events')).toEqual(leaves);
  expect(placesOf('public.events_a')).toEqual(leaves.slice(0, 1));
  expect(placesOf('public.events_b')).toEqual(leaves.slice(1));
  for (const none of ['public.scratch', 'public.seen', 'pg_catalog.pg_class'])
    expect(placesOf(none)).toEqual([]);
  expect(found.filter(({ db }) => db === 'other').map(({ table }) => table)).toEqual(['public.things']);
  const leaf = found.find(({ table }) => table === 'public.events_a');
  expect(leaf?.oid).toBe(await recovery.value(`SELECT 'public.events_a_1'::regclass::oid`));
  const some = await listRelations(recovery.production.access, quietly, ['other']);
  expect(some.relations.map(({ db, table }) => [db, table])).toEqual([['other', 'public.things']]);
});

it('backups of both tiers keep it, and it is read back oldest first', async () => {
  const { takeLogicalBackup, takePhysicalBackup } = createProtectionActivities(deps);
  const madeBy = { workflowId: 'w', runId: 'r' };
  const before = await nodeOf('public.orders');
  const physical = { database: 'shop', kind: 'full' as const, madeBy };
  await new MockActivityEnvironment().run(takePhysicalBackup, physical);
  await recovery.sql('TRUNCATE public.orders');
  const logical = { database: 'shop', backup: '20260131T000000Z', madeBy };
  await new MockActivityEnvironment().run(takeLogicalBackup, logical);

  const reading = vi.spyOn(repository, 'getText');
  const manifests = await listManifests(repository, 'shop');
  expect(manifests.map(({ tier }) => tier)).toEqual(['logical', 'physical']);
  // The places are many: who only wants the catalog does not read them.
  expect(reading).toHaveBeenCalledTimes(manifests.length);
  reading.mockRestore();
  const known = await readRelations(repository, manifests);
  const places = known.filter(({ db, table }) => db === 'shop' && table === 'public.orders');
  expect(places.map(({ node }) => node)).toEqual([before, await nodeOf('public.orders')]);

  // Nothing of the logical backup is there that its manifest does not name.
  const named = manifests.find(({ tier }) => tier === 'logical');
  const keys = (await collect(repository.list('logical/'))).map(({ key }) => key);
  expect(keys).toContain(named?.relations?.key);
});

it('a dropped table may be named where a backup knows it, and only there', async () => {
  const { access } = recovery.production;
  const { relations: known } = await listRelations(access, quietly);
  const name = '"Odd.Name"."Order; ""x"""';
  await recovery.sql(`DROP TABLE ${name}`);
  await expect(resolveTables(access, [name], quietly)).rejects.toMatchObject({ type: 'UnknownTable' });
  expect(await resolveTables(access, [name, 'orders'], quietly, known)).toEqual([name, 'public.orders']);
  expect(resolveKnownTables(access, [name], known)).toEqual([name]);
  // Of another db of the server, and what nobody knows.
  for (const none of ['public.things', 'shop."Odd.Name".order']) {
    await expect(resolveTables(access, [none], quietly, known)).rejects.toMatchObject({
      type: 'UnknownTable',
    });
  }
  const read = vi.fn(async () => known);
  expect(await orDropped((all) => resolveTables(access, ['orders'], quietly, all), read)).toEqual([
    'public.orders',
  ]);
  expect(read).not.toHaveBeenCalled();
  expect(await orDropped((all) => resolveTables(access, [name], quietly, all), read)).toEqual([name]);

  // The backups of the test before are what the runbook asks.
  const target = { latest: true as const };
  const { chooseBase } = createPlanningActivities(deps);
  const asked = { database: 'shop', target, tables: [name], preferred: null };
  expect(await new MockActivityEnvironment().run(chooseBase, asked)).toMatchObject({ tables: [name] });
});

it('a backup is taken all the same where the places cannot be read', async () => {
  const { takePhysicalBackup } = createProtectionActivities({
    ...deps,
    engines: { postgres: { ...postgres, listRelations: () => Promise.reject(new Error('no')) } },
  });
  const input = { database: 'shop', kind: 'full' as const, madeBy: { workflowId: 'w', runId: 'r' } };
  const { id } = (await new MockActivityEnvironment().run(takePhysicalBackup, input)) as { id: string };
  const manifest = (await listManifests(repository, 'shop')).find((one) => one.id === id);
  expect(manifest).toMatchObject({ id, relations: null });
  expect(manifest?.notices).toEqual([expect.stringMatching(/where the tables lie could not be read \(no\)/)]);
});

it('one db that refuses does not take from a backup what the others say, and the backup names it', async () => {
  await recovery.sql('CREATE DATABASE halfway');
  // What an interrupted DROP DATABASE leaves.
  await recovery.sql(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'halfway'`);
  const { takePhysicalBackup } = createProtectionActivities(deps);
  const input = { database: 'shop', kind: 'full' as const, madeBy: { workflowId: 'w', runId: 'r' } };
  const { id } = (await new MockActivityEnvironment().run(takePhysicalBackup, input)) as { id: string };
  const manifest = (await listManifests(repository, 'shop')).filter((one) => one.id === id);
  const known = await readRelations(repository, manifest);
  expect(new Set(known.map(({ db }) => db))).toEqual(new Set(['shop', 'other']));
  expect(manifest[0]?.notices).toEqual([
    expect.stringMatching(/where the tables of halfway lie could not be read \(.*invalid database/),
  ]);
});
