import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../../src/model/backup.ts';
import type { Evidence } from '../../../src/model/evidence.ts';
import { readCatalog } from '../../../src/repository/catalog.ts';
import { readEvidence, writeEvidence } from '../../../src/repository/evidence.ts';
import { type Heartbeat, listHeartbeats, writeHeartbeat } from '../../../src/repository/heartbeats.ts';
import { openJournal } from '../../../src/repository/journal.ts';
import { manifestKey, toolArchiveFolder } from '../../../src/repository/layout.ts';
import { listArchivedLogs } from '../../../src/repository/logs.ts';
import {
  listManifests,
  readManifest,
  removeManifest,
  writeManifest,
} from '../../../src/repository/manifests.ts';
import { readOwnTransactions } from '../../../src/repository/own-transactions.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { base } from '../../unit/repository/recoverability.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let fixture: RepositoryFixture;
let repository: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

const tomorrow = new Date(Date.now() + 86_400_000).toISOString();

describe('manifests', () => {
  test('come back, newest first', async () => {
    const backups = Array.from({ length: 20 }, (_, n) => base(`b${n}`, n, n * 10_000));
    for (const manifest of backups) await writeManifest(repository, manifest);
    expect(await listManifests(repository, 'shop')).toEqual(backups.toReversed());
    expect(await readManifest(repository, 'shop', 'b7')).toEqual(backups[7]);
    expect(await readManifest(repository, 'shop', 'b')).toBeNull();
    expect(await listManifests(repository, 'sho')).toEqual([]);
  });

  test('a locked one survives a forged version and a delete marker on top', async () => {
    const manifest = base('locked', 1, 12_000, { database: 'bank', lockedUntil: tomorrow });
    await writeManifest(repository, manifest);
    await repository.put(manifestKey('bank', 'locked'), '{"formatVersion":1,"id":"other"}');
    await repository.put(manifestKey('bank', 'locked'), JSON.stringify({ ...manifest, sizeBytes: 4711 }));
    await repository.put(manifestKey('bank', 'locked'), 'rubbish');
    await repository.remove(manifestKey('bank', 'locked'));
    expect(await readManifest(repository, 'bank', 'locked')).toEqual(manifest);
    expect(await listManifests(repository, 'bank')).toEqual([manifest]);
    expect(await listManifests(repository, 'bank', new Date(Date.parse(tomorrow) + 1_000))).toEqual([]);
  });

  test('of physical ones below markers those count that the tool cannot have expired', async () => {
    const fulls = ['f1', 'f2', 'f3'].map((id, n) =>
      base(id, n, n * 10_000, { database: 'park', lockedUntil: tomorrow }),
    );
    const diffs = ['f1', 'f3'].map((full, n) =>
      base(`${full}-diff`, n + 3, (n + 3) * 10_000, {
        ...{ database: 'park', lockedUntil: tomorrow, kind: 'diff', dependsOn: [full] },
      }),
    );
    for (const manifest of [...fulls, ...diffs]) {
      await writeManifest(repository, manifest);
      await repository.remove(manifestKey('park', manifest.id));
    }
    // What was removed is not there again because somebody has written to its key.
    await repository.put(manifestKey('park', 'f1'), 'rubbish');
    expect((await listManifests(repository, 'park')).map(({ id }) => id)).toEqual(['f3-diff', 'f3', 'f2']);
  });

  test('of two attempts at a backup one is published, and stays', async () => {
    const [first, second] = [1, 2].map((n) => base('twice', n, n * 10_000, { database: 'twins' }));
    const written = await Promise.all(
      [first, second].map((manifest) => writeManifest(repository, manifest as Manifest)),
    );
    expect(written.toSorted()).toEqual([false, true]);
    const published = written[0] ? first : second;
    expect(await readManifest(repository, 'twins', 'twice')).toEqual(published);
    expect(await writeManifest(repository, second as Manifest)).toBe(false);
    expect(await readManifest(repository, 'twins', 'twice')).toEqual(published);
  });

  test('one that was removed is gone, and its id can be read no more', async () => {
    await writeManifest(repository, base('gone', 1, 12_000, { database: 'blog' }));
    await removeManifest(repository, 'blog', 'gone');
    await removeManifest(repository, 'blog', 'gone');
    expect(await listManifests(repository, 'blog')).toEqual([]);
    expect(await readManifest(repository, 'blog', 'gone')).toBeNull();
  });
});

test('heartbeats are read from their names, oldest first', async () => {
  const beats: Heartbeat[] = [
    { at: '2026-01-31T14:05:00.123Z', timeline: 1, log: '000000010000000A00000003', position: 'A/3000148' },
    { at: '2026-01-31T14:06:00.000Z', timeline: 2, log: '000000020000000A00000004', position: 'A/4000000' },
  ];
  for (const beat of beats.toReversed()) await writeHeartbeat(repository, 'shop', beat);
  await writeHeartbeat(repository, 'shop', {
    ...(beats[0] as Heartbeat),
    at: '2026-01-31T15:05:00.1239+01:00',
  });
  await repository.put('log/shop/heartbeat/stray', '');
  expect(await listHeartbeats(repository, 'shop')).toEqual(beats);
});

test('archived logs are read from names and folders of pgBackRest’s tree', async () => {
  const hash = 'a'.repeat(40);
  const names = [
    'archive.info',
    `15-1/0000000100000000/000000010000000000000001-${hash}.zst`,
    `15-1/0000000100000000/000000010000000000000001.00000028.backup`,
    `15-1/0000000100000000/000000010000000000000002.partial-${hash}.zst`,
    `15-1/0000000200000001/000000020000000100000003-${hash}`,
    '15-1/00000002.history',
    `16-2/0000000100000000/000000010000000000000001-${hash}.lz4`,
    `16-2/0000000100000000/000000010000000000000001-${hash}.lz4.pgbackrest.tmp`,
  ];
  for (const name of names) await repository.put(`${toolArchiveFolder('shop')}${name}`, '');
  await repository.put(
    `${toolArchiveFolder('shop2')}15-1/0000000100000000/0000000100000000000000FF-${hash}.zst`,
    '',
  );
  const logs = await listArchivedLogs(repository, 'shop');
  expect(logs.map(({ kind, archive, name }) => [kind, archive, name]).sort()).toEqual([
    ['backup', '15-1', '000000010000000000000001'],
    ['history', '15-1', '00000002'],
    ['partial', '15-1', '000000010000000000000002'],
    ['segment', '15-1', '000000010000000000000001'],
    ['segment', '15-1', '000000020000000100000003'],
    ['segment', '16-2', '000000010000000000000001'],
  ]);
  expect(Math.abs(Date.now() - Date.parse(logs[0]?.archivedAt ?? ''))).toBeLessThan(600_000);
});

test('the catalog comes from the repository alone', async () => {
  const finishedMs = 12_000;
  // As they were before a database could move: without a stanza.
  const { stanza: _, ...manifest } = base('full', 1, finishedMs, { database: 'app', lockedUntil: tomorrow });
  await writeManifest(repository, manifest);
  const folder = `${toolArchiveFolder('app-stanza')}15-1/0000000100000000/`;
  for (const n of [1, 2, 4]) {
    await repository.put(`${folder}00000001000000000000000${n}-${'b'.repeat(40)}.zst`, '');
  }
  await writeHeartbeat(repository, 'app', {
    at: '2026-01-31T00:00:25.000Z',
    timeline: 1,
    log: '000000010000000000000002',
    position: '0/2000100',
  });
  const restore = await fixture.open({ use: 'restore' });
  const catalog = await readCatalog(restore, 'app', {
    ...{ stanza: 'app-stanza', former: [] },
    now: new Date('2026-01-31T00:01:24.999Z'),
  });
  restore.close();
  expect(catalog).toMatchObject({
    database: 'app',
    backups: [{ id: 'full', tier: 'physical', lockedUntil: tomorrow, verified: null }],
    intervals: [{ from: '2026-01-31T00:00:13.000Z', to: '2026-01-31T00:00:24.999Z' }],
    gaps: [{ firstMissing: '000000010000000000000003', lastMissing: '000000010000000000000003', count: 1 }],
    lastRecoverableAt: '2026-01-31T00:00:24.999Z',
    rpoSeconds: 60,
  });
});

test('evidence lies under the database and the whole workflow id', async () => {
  const evidence = {
    formatVersion: 1,
    workflowId: 'pitr/shop/20260131T140500Z',
    status: { database: 'shop' },
  } as Evidence;
  const key = await writeEvidence(repository, evidence, { lockedUntil: tomorrow });
  expect(key).toBe('evidence/shop/pitr%2Fshop%2F20260131T140500Z.json');
  expect(await readEvidence(repository, 'shop', evidence.workflowId)).toEqual(evidence);
  expect(await readEvidence(repository, 'shop', 'pitr/shop/other')).toBeNull();
});

test('what Holdfast itself committed in production is read from the evidence of that time', async () => {
  const evidenceOf = (workflowId: string, imported: object | null) =>
    ({
      ...{ formatVersion: 1, workflowId, imported, writtenAt: '2026-01-31T14:10:00Z' },
      status: {
        database: 'own',
        steps: [{ startedAt: '2026-01-31T14:05:00Z' }, { startedAt: null }],
      },
    }) as unknown as Evidence;
  await writeEvidence(repository, evidenceOf('pitr/own/1', { transaction: '4294967308' }));
  await writeEvidence(repository, evidenceOf('undo/own/1', { transaction: '813' }));
  await writeEvidence(repository, evidenceOf('pitr/own/rejected', null));
  const read = (since: Date) => readOwnTransactions(repository, 'own', since, new AbortController().signal);
  const time = { from: '2026-01-31T14:05:00Z', to: '2026-01-31T14:10:00Z' };
  expect(await read(new Date())).toEqual([
    { transaction: '4294967308', by: 'pitr/own/1', ...time },
    { transaction: '813', by: 'undo/own/1', ...time },
  ]);
  expect(await read(new Date(tomorrow))).toEqual([]);
});

test('the journal keeps every record of a runbook, whoever wrote it', async () => {
  const record = (transaction: string) => ({
    transaction,
    planDigest: 'd',
    result: { tables: [], transaction, alreadyDone: false, undo: null },
    undo: null,
  });
  const first = openJournal(repository, 'shop', 'pitr/shop/1');
  expect(await first.read()).toEqual([]);
  await first.write(record('1'));
  await openJournal(repository, 'shop', 'pitr/shop/1').write(record('2'));
  await openJournal(repository, 'shop', 'pitr/shop/11').write(record('3'));
  expect((await first.read()).map(({ transaction }) => transaction)).toEqual(['1', '2']);
});
