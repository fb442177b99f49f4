import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { dumpsOfBase } from '../../../src/activities/dumped-base.ts';
import type { BackupSummary } from '../../../src/activities/publish.ts';
import type { Base } from '../../../src/activities/recovery-types.ts';
import { createSnapshotActivities } from '../../../src/activities/snapshotting.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import { readCatalog, readRecoverability } from '../../../src/repository/catalog.ts';
import { chooseBackup } from '../../../src/repository/choice.ts';
import { listManifests, writeManifest } from '../../../src/repository/manifests.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { databaseText, exampleConfig } from '../../unit/config/example.ts';
import { dump } from '../../unit/repository/shipped/shop.ts';
import { quietly } from '../mysql-server.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';
import { HISTORY } from './shipping-fixture.ts';

let storage: RepositoryFixture;
let repository: Repository;
let deps: Dependencies;
const now = new Date();
beforeAll(async () => {
  storage = await startRepository();
  repository = await storage.open();
  const text = databaseText('shop')
    .replace('engine: postgres', 'engine: mysql')
    .replace('    postgres: {dataDirectory: /data/shop}\n', '');
  deps = {
    config: {
      config: { ...exampleConfig({ databases: text }), repository: storage.config },
      ...{ directory: storage.directory, path: '/holdfast.yaml' },
    } as Dependencies['config'],
    client: {} as Dependencies['client'],
    engines: { mysql: { kind: 'mysql', instructions: () => '# how to restore it' } as unknown as Engine },
    ...{ logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
});
afterAll(async () => {
  repository?.close();
  await storage?.dispose();
});

test('a month’s snapshot of MySQL is a copy of a logical backup: restored alone, and no base of logs', async () => {
  const folder = 'logical/shop/b1/attempt/';
  const object = await repository.put(`${folder}shop.sql.zst`, 'what was dumped');
  const schema = await repository.put(`${folder}shop.schema.sql`, 'CREATE TABLE t');
  const globals = await repository.put(`${folder}globals.sql`, 'CREATE USER u');
  const at = now.toISOString();
  const made = dump('b1', 0, 3, { gtid: '' });
  const manifest: Manifest = {
    ...made,
    ...{ startedAt: at, finishedAt: at, globals },
    positions: { ...made.positions, at },
    databases: [{ name: 'shop', objects: [object], fingerprints: null, schema }],
  };
  await writeManifest(repository, manifest);
  const { chooseSnapshot, takeSnapshot } = createSnapshotActivities(deps);
  const choose = () => new MockActivityEnvironment().run(chooseSnapshot, { database: 'shop', at });
  expect(await choose()).toMatchObject({
    skipped: expect.stringMatching(/no logical backup of shop of .* has passed a verification yet/),
  });
  const verdict = {
    formatVersion: 1,
    database: 'shop',
    tier: 'logical',
    backup: 'b1',
    verdict: 'pass',
    finishedAt: at,
  };
  await repository.put('verification/shop/b1.json', JSON.stringify(verdict));
  expect(await choose()).toEqual({ backup: 'b1' });
  const madeBy = { workflowId: 'w', runId: 'r' };
  const { id } = (await new MockActivityEnvironment().run(takeSnapshot, {
    database: 'shop',
    backup: 'b1',
    at,
    madeBy,
  })) as BackupSummary;
  expect(id).toBe('snapshot-b1');
  expect(await choose()).toMatchObject({ id, skipped: expect.stringContaining('has its snapshot') });

  const known = await readRecoverability(repository, 'shop', HISTORY);
  const choice = chooseBackup({ ...known, target: { backup: id }, now });
  expect(choice).toMatchObject({
    ...{ segments: 0, lastLog: null, reachable: 'yes' },
    notices: ['it is a snapshot of a logical one, restored from its snapshot alone'],
  });
  expect(choice.manifest.databases[0]?.objects[0]?.key).toBe('snapshot/shop/snapshot-b1/shop.sql.zst');
  // The original alone leads into the logs, and once it is gone the snapshot does not.
  expect(chooseBackup({ ...known, target: { latest: true }, now }).manifest.id).toBe('b1');
  const alone = known.manifests.filter((one) => one.tier === 'snapshot');
  expect(() => chooseBackup({ ...known, manifests: alone, target: { latest: true }, now })).toThrow(
    /there is no logical backup/,
  );
  const { intervals } = await readCatalog(repository, 'shop', { ...HISTORY, now });
  expect(intervals).toEqual([{ from: at, to: at }]);

  // What a restore is given, without the original.
  for (const one of await listManifests(repository, 'shop')) {
    if (one.id === 'b1') await repository.remove('manifest/shop/b1.json');
  }
  const { dumps, globals: accounts } = await dumpsOfBase(repository, 'shop', { backup: id } as Base, quietly);
  expect(accounts).toBe('CREATE USER u');
  const pieces: Buffer[] = [];
  for await (const piece of dumps[0]?.open(quietly.signal) ?? []) pieces.push(piece as Buffer);
  expect(Buffer.concat(pieces).toString()).toBe('what was dumped');
});
