import { afterAll, beforeAll, expect, test } from 'vitest';
import { listEverything } from '../../src/repository/audit/listing.ts';
import { mapBounded } from '../../src/repository/bounded.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { startS3Proxy } from '../e2e/s3-proxy.ts';
import { plantBase, plantLogical, plantLogs, readFacts } from '../engine/repository/audit-fixture.ts';
import { type RepositoryFixture, startRepository } from '../engine/repository/fixture.ts';

const LOGS = 50_000;
const FULL = '20261122-200000F';

let fixture: RepositoryFixture;
let repository: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
  await plantBase(repository, FULL, { logs: [1, 2] });
  await plantLogical(repository, '20261123T020000Z-a');
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

test('an S3 that refuses every second request is asked until it answers, and says the same', async () => {
  await plantLogs(repository, [1, 600]);
  const proxy = await startS3Proxy(fixture.directory, fixture.server.endpoint);
  const config = { ...fixture.config, endpoint: proxy.endpoint };
  const through = await openRepository(config, { use: 'backup', baseDirectory: fixture.directory });
  const { facts } = await readFacts(fixture);
  proxy.refuseEvery(2);
  try {
    const read = await readFacts(fixture, { repository: through, now: new Date(facts.now) });
    expect(read).toEqual({ facts, settings: read.settings, findings: [] });
  } finally {
    through.close();
    await proxy.end();
  }
});

test('more folders than a page holds are all listed', async () => {
  const folders = Array.from({ length: 1_100 }, (_, at) => `manifest/db${at}/x/y.json`);
  await mapBounded(folders, 48, (key) => repository.put(key, ''));
  await repository.remove(folders[700] as string);
  const seen: string[] = [];
  await listEverything(repository, ({ key }) => seen.push(key), {
    ...{ signal: new AbortController().signal, progress: () => {} },
  });
  expect(seen.filter((key) => folders.includes(key)).toSorted()).toEqual(folders.toSorted());
  expect(new Set(seen).size).toBe(seen.length);
});

test('fifty thousand logs are one listing, a run for each day, and a sample of their locks', async () => {
  await plantLogs(repository, [601, LOGS]);
  const from = performance.now();
  const { facts, findings } = await readFacts(fixture);
  const seconds = (performance.now() - from) / 1_000;
  process.stdout.write(
    `an audit's reading of ${facts.looked.versions} versions took ${seconds.toFixed(1)} s\n`,
  );
  expect(findings).toEqual([]);
  expect(facts.looked.versions).toBeGreaterThan(LOGS);
  expect(facts.looked.headed).toBeLessThan(500);
  const logs = facts.databases[0]?.nodes.filter(({ kind }) => kind === 'logs') ?? [];
  expect(logs.reduce((sum, { versions }) => sum + versions.length, 0)).toBe(LOGS);
  // One, or two where it became midnight meanwhile.
  expect(logs.length).toBeLessThanOrEqual(2);
});
