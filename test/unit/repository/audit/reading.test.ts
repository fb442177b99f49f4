import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../../../src/model/backup.ts';
import type { AuditedVersion } from '../../../../src/repository/audit/facts.ts';
import { versionsToAsk } from '../../../../src/repository/audit/heads.ts';
import { nodesOf, type Published } from '../../../../src/repository/audit/nodes.ts';
import { orphansOf } from '../../../../src/repository/audit/orphans.ts';
import { placeOf } from '../../../../src/repository/audit/place.ts';
import { addTo, emptyTree } from '../../../../src/repository/audit/tree.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-25T12:00:00Z');
const log = (number: number, timeline = 1) =>
  `${String(timeline).padStart(8, '0')}00000000${number.toString(16).toUpperCase().padStart(8, '0')}`;
const logKey = (number: number, { stanza = 'shop', archive = '15-1', timeline = 1 } = {}) =>
  `pgbackrest/archive/${stanza}/${archive}/${log(number, timeline).slice(0, 16)}/${log(number, timeline)}-${'a'.repeat(40)}.zst`;

const version = (key: string, more: Partial<AuditedVersion> = {}): AuditedVersion => ({
  ...{ key, versionId: key, writtenAt: NOW - 3 * DAY, sizeBytes: 1, storageClass: 'STANDARD' },
  ...{ noncurrentSince: null, under: null },
  ...more,
});

/** A tree of these versions, those of a key newest first. */
function treeOf(...versions: AuditedVersion[]) {
  const tree = emptyTree();
  for (const [key, ofKey] of Map.groupBy(versions, (one) => one.key)) {
    addTo(tree, { key, versions: ofKey, markers: 0 });
  }
  return tree;
}

const HERE = { name: 'shop', stanza: 'shop', former: [] };
const runs = (tree: ReturnType<typeof emptyTree>, database: Parameters<typeof nodesOf>[0] = HERE) =>
  nodesOf(database, tree, [], NOW).map(({ id, segments, versions }) => [id, segments, versions.length]);

const published = (more: Partial<Manifest>): Published => {
  const manifest = {
    ...{ id: '20261122-200000F', database: 'shop', tier: 'physical', kind: 'full', dependsOn: [] },
    ...{ startedAt: '2026-11-22T20:00:00Z', finishedAt: '2026-11-22T20:10:00Z', databases: [] },
    ...{ globals: null, instructions: null, serverVersion: '15', stanza: 'shop' },
    positions: { timeline: 1, start: null, stop: null, startLog: log(3), stopLog: log(4) },
    ...more,
  } as unknown as Manifest;
  return { manifest, version: version(`manifest/shop/${manifest.id}.json`) };
};

test.each([
  ['pgbackrest/archive/shop/archive.info', { kind: 'tool-file', stanza: 'shop' }],
  ['pgbackrest/archive/shop/15-1/00000002.history', { kind: 'tool-file', stanza: 'shop' }],
  [logKey(3), { kind: 'log', stanza: 'shop', archive: '15-1', name: log(3) }],
  [logKey(3).replace(`${log(3)}-`, `${log(3)}.partial-`), { kind: 'tool-note' }],
  ['pgbackrest/backup/shop/backup.info.copy', { kind: 'tool-file' }],
  ['pgbackrest/backup/shop/backup.history/2026/20261122-200000F.manifest.zst', { kind: 'tool-note' }],
  ['pgbackrest/backup/shop/20261122-200000F/pg_data/a', { kind: 'base', label: '20261122-200000F' }],
  ['pgbackrest/other', { kind: 'unknown', folder: 'pgbackrest/' }],
  ['logical/shop/20261122T020000Z/a1/shop.dump', { kind: 'backup', tier: 'logical', id: '20261122T020000Z' }],
  ['snapshot/shop/s1/pgbackrest/backup/shop/20261122-200000F/backup.manifest', { kind: 'backup', id: 's1' }],
  ['manifest/shop/20261122-200000F.json', { kind: 'manifest', id: '20261122-200000F' }],
  ['manifest/shop/20261122-200000F.RESTORE.md', { kind: 'beside', id: '20261122-200000F' }],
  ['manifest/shop/20261122-200000F/a1/relations.json', { kind: 'beside', id: '20261122-200000F' }],
  ['log/shop/heartbeat/20261122T020000000Z_1', { kind: 'record', database: 'shop' }],
  ['topology/shop.json', { kind: 'record', database: 'shop' }],
  ['doctor/probe', { kind: 'own' }],
  ['audit/last.json', { kind: 'own' }],
  ['holiday/photo.jpg', { kind: 'unknown', folder: 'holiday/' }],
  ['readme', { kind: 'unknown', folder: 'readme' }],
])('%s is known by its name', (key, place) => {
  expect(placeOf(key)).toMatchObject(place);
});

describe('logs', () => {
  test('are runs without a hole, of one timeline and one day', () => {
    const tree = treeOf(
      ...[3, 4, 5].map((number) => version(logKey(number))),
      version(logKey(6), { writtenAt: NOW }),
      version(logKey(8)),
      version(logKey(9, { timeline: 2 })),
    );
    expect(runs(tree)).toEqual([
      [`logs ${log(3)}..${log(5)}`, { archive: 'shop/15-1', timeline: 1, first: 3, last: 5 }, 3],
      [`logs ${log(6)}..${log(6)}`, { archive: 'shop/15-1', timeline: 1, first: 6, last: 6 }, 1],
      [`logs ${log(8)}..${log(8)}`, { archive: 'shop/15-1', timeline: 1, first: 8, last: 8 }, 1],
      [`logs ${log(9, 2)}..${log(9, 2)}`, { archive: 'shop/15-1', timeline: 2, first: 9, last: 9 }, 1],
    ]);
  });

  test('end before a hole that a log on its way may fill, and not before one that has settled', () => {
    const late = { writtenAt: NOW - 60_000 };
    const tree = treeOf(
      ...[3, 5].map((number) => version(logKey(number))),
      ...[7, 8].map((number) => version(logKey(number), late)),
      version(logKey(7, { timeline: 2 }), late),
    );
    expect(runs(tree).map(([id]) => id)).toEqual([
      `logs ${log(3)}..${log(3)}`,
      `logs ${log(5)}..${log(5)}`,
      `logs ${log(7, 2)}..${log(7, 2)}`,
    ]);
  });

  test('of two archives are told apart, and a base has its own', () => {
    const tree = treeOf(
      ...[3, 4].map((number) => version(logKey(number))),
      ...[3, 4].map((number) => version(logKey(number, { archive: '16-2' }))),
    );
    expect(runs(tree).map(([id]) => id)).toEqual([
      `logs ${log(3)}..${log(4)} of shop/16-2`,
      `logs ${log(3)}..${log(4)} of shop/15-1`,
    ]);
    const [base] = nodesOf(HERE, tree, [published({})], NOW);
    expect(base?.replayFrom).toEqual({ archive: 'shop/15-1', timeline: 1, first: 3, stop: 4 });
    const younger = treeOf(version(logKey(9, { archive: '15-3' })), version(logKey(3)), version(logKey(4)));
    expect(nodesOf(HERE, younger, [published({})], NOW)[0]?.replayFrom?.archive).toBe('shop/15-1');
  });

  test('that a server archived after its database had left it are of another history', () => {
    const until = new Date(NOW - 2 * DAY).toISOString();
    const tree = treeOf(
      version(logKey(3, { stanza: 'old' })),
      version(logKey(4, { stanza: 'old' }), { writtenAt: NOW }),
    );
    const moved = { ...HERE, former: [{ stanza: 'old', until }] } as never;
    expect(runs(tree, moved).map(([id]) => id)).toEqual([`logs ${log(3)}..${log(3)}`]);
  });

  test('count in the version that was written first; a write that was asked again is no forgery', () => {
    const older = version(logKey(3), { noncurrentSince: NOW, under: 'version' });
    const [again, forged] = [
      version(logKey(3), { versionId: 'again', writtenAt: older.writtenAt + 60_000 }),
      version(logKey(3), { versionId: 'forged', writtenAt: NOW, sizeBytes: 7 }),
    ];
    expect(nodesOf(HERE, treeOf(again, older), [], NOW)[0]?.versions).toEqual([again]);
    for (const one of [forged, { ...again, sizeBytes: 7 }]) {
      expect(nodesOf(HERE, treeOf(one, older), [], NOW)[0]?.versions).toEqual([older]);
    }
  });
});

test("a base is the versions of its end: the tool's drafts before it and forgeries after it are none of it", () => {
  const key = 'pgbackrest/backup/shop/20261122-200000F/backup.manifest';
  const one = published({});
  const at = one.version.writtenAt;
  const [forged, good, draft] = [
    version(key, { versionId: 'forged', writtenAt: at + 1 }),
    version(key, { versionId: 'good', writtenAt: at - 1, noncurrentSince: at + 1, under: 'version' }),
    version(key, { versionId: 'draft', writtenAt: at - 2, noncurrentSince: at - 1, under: 'version' }),
  ];
  const [base] = nodesOf(HERE, treeOf(forged, good, draft), [one], NOW);
  expect(base).toMatchObject({ versions: [one.version, good], missing: [] });
});

test('a snapshot is all that lies in its folder when its manifest was written', () => {
  const one = published({ id: 's1', tier: 'snapshot' });
  const folder = 'snapshot/shop/s1/';
  const [file, late] = [`${folder}pgbackrest/backup/shop/b/backup.manifest`, `${folder}later`];
  const tree = treeOf(version(file), version(late, { writtenAt: NOW }));
  const [node] = nodesOf(HERE, tree, [one], NOW);
  expect(node).toMatchObject({ kind: 'snapshot', readBy: 'version', needs: [], missing: [] });
  expect(node?.versions.map(({ key }) => key)).toEqual([one.version.key, file, late]);
  expect(nodesOf(HERE, emptyTree(), [one], NOW)[0]).toMatchObject({ missing: [folder] });
});

test('of ours everything is asked for its lock, of what a tool wrote a sample, unless all is wanted', () => {
  const logs = Array.from({ length: 600 }, (_, at) => version(logKey(at)));
  const own = [version('manifest/shop/a.json'), version('pgbackrest/backup/shop/a/backup.manifest')];
  const databases = [{ nodes: [{ versions: logs }, { versions: own }] }] as never;
  const file = version('pgbackrest/archive/shop/archive.info');
  expect(versionsToAsk(databases, [file], false)).toEqual([
    file,
    logs[0],
    logs[256],
    logs[512],
    logs[599],
    ...own,
  ]);
  expect(versionsToAsk(databases, [file], true)).toHaveLength(603);
});

test('a stanza that was left long ago is an orphan once nothing of it is promised', () => {
  const retention = { physicalMs: 90 * DAY, logMs: 7 * DAY } as never;
  const tree = treeOf(version(logKey(3, { stanza: 'old' }), { writtenAt: NOW - 200 * DAY }));
  const orphans = (days: number) => {
    const until = new Date(NOW - days * DAY).toISOString();
    const known = [{ ...HERE, retention, former: [{ stanza: 'old', until }] }] as never;
    return orphansOf(tree, known, [{ name: 'shop', nodes: [] } as never], NOW).map(({ why }) => why);
  };
  expect(orphans(80)).toEqual([]);
  expect(orphans(100)).toEqual([expect.stringContaining('which it left on 2026-08-17')]);
});
