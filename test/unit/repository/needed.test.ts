import { expect, test } from 'vitest';
import { neededBy, neededBySnapshot, neededObjects } from '../../../src/repository/needed.ts';
import type { ListedObject, Repository } from '../../../src/repository/repository.ts';
import { base, logName } from './recoverability.ts';

/** A bucket of these keys, as far as it is listed. */
function bucketOf(keys: Record<string, number>): Repository {
  const under = (prefix: string) =>
    Object.keys(keys)
      .filter((key) => key.startsWith(prefix))
      .sort();
  return {
    async *list(prefix: string): AsyncIterable<ListedObject> {
      for (const key of under(prefix)) {
        yield { key, sizeBytes: keys[key] as number, lastModified: '', storageClass: 'GLACIER' };
      }
    },
    folders: async (prefix: string) => [
      ...new Set(
        under(prefix).flatMap((key) => {
          const end = key.indexOf('/', prefix.length);
          return end === -1 ? [] : [key.slice(0, end + 1)];
        }),
      ),
    ],
  } as unknown as Repository;
}

const ARCHIVE = 'pgbackrest/archive/shop/';
const FULL = 1_200_000;
const EMPTY = 700;
const fileOf = (name: string, archive = '15-1') =>
  `${ARCHIVE}${archive}/${name.slice(0, 16)}/${name}-${'a'.repeat(40)}.zst`;
const log = (segment: number, timeline = 1, archive = '15-1') => fileOf(logName(segment, timeline), archive);
const logs = (first: number, last: number, sizeBytes = FULL, timeline = 1): Record<string, number> =>
  Object.fromEntries(
    Array.from({ length: last - first + 1 }, (_, at) => [log(first + at, timeline), sizeBytes]),
  );

async function needed(
  keys: Record<string, number>,
  range: { timeline?: number; lastSegment: number },
  dependsOn: string[] = [],
): Promise<string[]> {
  const { timeline = 1, lastSegment } = range;
  const wanted = neededBy(base('diff', 3, 35_000, { dependsOn }), {
    ...{ stanza: 'shop', timeline, lastLog: logName(lastSegment, timeline) },
  });
  return (await neededObjects(bucketOf(keys), wanted)).map(({ key }) => key).sort();
}

test('the base, what it depends on, what says so, and the logs up to the last: nothing of others', async () => {
  const own = {
    'pgbackrest/backup/shop/full/bundle/1': 1,
    'pgbackrest/backup/shop/diff/backup.manifest': 1,
    'pgbackrest/backup/shop/backup.info': 1,
    'pgbackrest/backup/shop/backup.info.copy': 1,
    [`${ARCHIVE}archive.info`]: 1,
    ...logs(3, 6),
  };
  const others = {
    'pgbackrest/backup/shop/full2/bundle/1': 1,
    'pgbackrest/backup/shop/diff-other/bundle/1': 1,
    'pgbackrest/backup/other/full/bundle/1': 1,
    ...logs(1, 2),
    ...logs(8, 9),
    [log(4, 2)]: FULL,
    [log(4, 1, '14-1')]: FULL,
  };
  // One more, which the server reads before it stops.
  const ahead = logs(7, 7);
  expect(await needed({ ...own, ...ahead, ...others }, { lastSegment: 6 }, ['full'])).toEqual(
    Object.keys({ ...own, ...ahead }).sort(),
  );
});

test('along the timelines from that of the base to that of the target, with every history file', async () => {
  const histories = { [`${ARCHIVE}15-1/00000002.history`]: 1, [`${ARCHIVE}15-1/00000003.history`]: 1 };
  const keys = { ...logs(3, 5), ...logs(5, 7, FULL, 2), ...logs(6, 7, FULL, 3), ...histories };
  expect(await needed(keys, { timeline: 2, lastSegment: 6 })).toEqual(
    Object.keys({ ...logs(3, 5), ...logs(5, 7, FULL, 2), ...histories }).sort(),
  );
});

test('of idle logs as many more as the server may read ahead, also in the next folder', async () => {
  const idle = logs(3, 300, EMPTY);
  const keys = { ...idle, ...logs(301, 303) };
  expect(await needed(keys, { lastSegment: 250 })).toEqual(
    Object.keys({ ...idle, ...logs(301, 301) }).sort(),
  );
});

test('of a snapshot everything, of a logical one in the versions of its manifest', async () => {
  const folder = 'snapshot/shop/taken/';
  const object = (name: string, versionId: string) => ({
    ...{ key: `${folder}${name}`, versionId, sizeBytes: 1, sha256: '' },
  });
  const listed = [object('dump.zst', 'forged'), object('dump.zst', 'own'), object('schema', 'own')];
  const bucket = {
    ...bucketOf({ [`${folder}pgbackrest/x`]: 1, 'snapshot/shop/taken-2/y': 1 }),
    async *versions() {
      yield* listed;
    },
  } as unknown as Repository;
  const taken = (tier: 'physical' | 'logical') =>
    base('taken', 3, 35_000, {
      ...{ tier: 'snapshot', copyOf: { tier, id: 'x' } },
      globals: listed[1] ?? null,
    });
  const keysOf = async (tier: 'physical' | 'logical') =>
    (await neededObjects(bucket, neededBySnapshot(taken(tier)))).map(
      ({ key, versionId }) => `${key.slice(folder.length)} ${versionId}`,
    );
  expect(await keysOf('physical')).toEqual(['pgbackrest/x undefined']);
  expect(await keysOf('logical')).toEqual(['dump.zst own']);
});
