import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Topology } from '../../../src/model/topology.ts';
import { readCatalog } from '../../../src/repository/catalog.ts';
import { writeHeartbeat } from '../../../src/repository/heartbeats.ts';
import { toolArchiveFolder, topologyKey } from '../../../src/repository/layout.ts';
import { writeManifest } from '../../../src/repository/manifests.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import {
  listTopologies,
  readTopology,
  removeTopology,
  writeTopology,
} from '../../../src/repository/topology.ts';
import { base, heartbeat, isoAt, logName, onTimeline } from '../../unit/repository/recoverability.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';

let fixture: RepositoryFixture;
let repository: Repository;
/** as the worker of a site reads it */
let restore: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
  restore = await fixture.open({ use: 'restore' });
});
afterAll(async () => {
  repository?.close();
  restore?.close();
  await fixture?.dispose();
});

const topologyOf = (database: string, changes: Partial<Topology> = {}): Topology => ({
  formatVersion: 1,
  database,
  by: `disaster/${database}/20260131T000000Z`,
  at: '2026-01-31T00:10:00.000Z',
  site: 'second',
  host: 'second',
  address: { host: '10.0.0.2', port: 5432 },
  stanza: `${database}-20260131t000000z`,
  dataDirectory: '/srv/data',
  socketDirectory: '/srv/socket',
  systemUser: 'postgres',
  systemIdentifier: '7000000000000000001',
  timeline: 2,
  former: [
    {
      ...{ stanza: database, host: 'first', address: { host: '10.0.0.1', port: 5432 } },
      ...{ until: '2026-01-31T00:09:00.000Z', timeline: 1 },
    },
  ],
  ...changes,
});

test('where a database lives is written, read by others, written anew and taken back', async () => {
  expect(await readTopology(restore, 'shop')).toBeNull();
  expect(await listTopologies(restore)).toEqual([]);
  const first = topologyOf('shop');
  await writeTopology(repository, first);
  await writeTopology(repository, topologyOf('shop2'));
  expect(await readTopology(restore, 'shop')).toEqual(first);
  const second = { ...first, site: 'third', timeline: 3 };
  await writeTopology(repository, second);
  expect(await listTopologies(restore)).toEqual([second, topologyOf('shop2')]);

  await removeTopology(repository, 'shop');
  await removeTopology(repository, 'shop');
  // The version below the delete marker is there, and is no topology any more.
  expect(await readTopology(restore, 'shop')).toBeNull();
  expect(await listTopologies(restore)).toEqual([topologyOf('shop2')]);
  await removeTopology(repository, 'shop2');
});

test('it lies below the prefix of the repository', async () => {
  await writeTopology(repository, topologyOf('shop'));
  const whole = { ...fixture.config, prefix: '' };
  const other = await openRepository(whole, { use: 'backup', baseDirectory: fixture.directory });
  expect((await collect(other.list('fleet/topology/'))).map(({ key }) => key)).toEqual([
    'fleet/topology/shop.json',
  ]);
  expect(await listTopologies(other)).toEqual([]);
  other.close();
  await removeTopology(repository, 'shop');
});

test.each([
  ['no JSON', '{"formatVersion": 1, "data', 'expected object'],
  ['one of a later version', JSON.stringify({ ...topologyOf('bank'), formatVersion: 2 }), 'formatVersion'],
  ['one without a stanza', JSON.stringify({ ...topologyOf('bank'), stanza: undefined }), 'stanza'],
  ['one of another database', JSON.stringify(topologyOf('shop')), 'it is of shop'],
])('%s is an error that names the key', async (_, text, why) => {
  await repository.put(topologyKey('bank'), text);
  for (const read of [() => readTopology(restore, 'bank'), () => listTopologies(restore)]) {
    await expect(read()).rejects.toMatchObject({
      type: 'InvalidConfiguration',
      message: expect.stringMatching(new RegExp(`^topology/bank\\.json .*${why}`)),
    });
  }
  await removeTopology(repository, 'bank');
});

test('the catalog spans the stanzas of a moved database', async () => {
  const { stanza: _, ...old } = base('old', 1, 12_000, { database: 'app' });
  const moved = { database: 'app', stanza: 'app-2', ...onTimeline(2) };
  await writeManifest(repository, old);
  await writeManifest(repository, base('new', 5, 52_000, moved));
  await writeManifest(repository, base('given-up', 5, 53_000, { ...moved, stanza: 'app-given-up' }));
  const put = (stanza: string, timeline: number, segment: number) =>
    repository.put(
      `${toolArchiveFolder(stanza)}15-1/${logName(segment, timeline).slice(0, 16)}/${logName(segment, timeline)}-${'c'.repeat(40)}.zst`,
      '',
    );
  for (const segment of [1, 2]) await put('app', 1, segment);
  for (const segment of [5, 6]) await put('app-2', 2, segment);
  for (const beat of [heartbeat(25_000), heartbeat(65_000, 2)]) await writeHeartbeat(repository, 'app', beat);
  const until = new Date(Date.now() + 60_000).toISOString();
  const read = (former: { stanza: string; until: string }[]) =>
    readCatalog(restore, 'app', { stanza: 'app-2', former, now: new Date(isoAt(100_000)) });
  const catalog = await read([{ stanza: 'app', until }]);
  expect(catalog.backups.map(({ id }) => id)).toEqual(['new', 'old']);
  expect(catalog.gaps).toEqual([]);
  expect(catalog.intervals).toEqual([
    { from: isoAt(13_000), to: isoAt(24_999) },
    { from: isoAt(53_000), to: isoAt(64_999) },
  ]);
  // What the former place archived after it was left does not count.
  const left = await read([{ stanza: 'app', until: isoAt(12_000) }]);
  expect(left.intervals).toEqual([
    { from: isoAt(13_000), to: isoAt(13_000) },
    { from: isoAt(53_000), to: isoAt(64_999) },
  ]);
});
