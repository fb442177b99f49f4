import { expect, test } from 'vitest';
import type { Repository } from '../../../../src/repository/repository.ts';
import { listShippedAgain, rememberShipped } from '../../../../src/repository/shipped/listing.ts';
import { lineageOf, type ShippedLog } from '../../../../src/repository/shipped/name.ts';
import { OTHER, shipped, tenSeconds } from './shop.ts';

/** A bucket of these keys, and what was asked of it. */
function bucketOf(where: string) {
  const keys = new Set<string>();
  const asked: string[] = [];
  const inOrder = (prefix: string, after = '') =>
    [...keys].filter((key) => key.startsWith(prefix) && key > after).sort();
  const repository = {
    ...{ connection: { where }, fullKey: (key: string) => key },
    async *list(prefix: string, _?: AbortSignal, after?: string) {
      asked.push(after ?? prefix);
      for (const key of inOrder(prefix, after)) yield { key, lastModified: '2026-01-31T00:00:00.000Z' };
    },
    folders: async (prefix: string) => [
      ...new Set(inOrder(prefix).map((key) => `${key.split('/').slice(0, 3).join('/')}/`)),
    ],
  } as unknown as Repository;
  const put = (logs: readonly ShippedLog[]) => {
    for (const { key } of logs) keys.add(key);
  };
  return { repository, put, asked, remove: (log: ShippedLog) => keys.delete(log.key) };
}
const numbersOf = (logs: readonly ShippedLog[]) => logs.map(({ number }) => number).toSorted((a, b) => a - b);

test('what is there is listed once, then what comes behind it, and new lineages', async () => {
  const { repository, put, asked } = bucketOf('one');
  put(tenSeconds([1, 2, 3]));
  expect(numbersOf(await listShippedAgain(repository, 'shop'))).toEqual([1, 2, 3]);
  put(tenSeconds([4, 5]));
  expect(numbersOf(await listShippedAgain(repository, 'shop'))).toEqual([1, 2, 3, 4, 5]);
  expect(asked).toEqual(['log/shop/', expect.stringMatching(/^log\/shop\/.*\.1\/binlog\.000003\/~$/)]);
  put(tenSeconds([1], lineageOf(OTHER, 1)));
  expect(numbersOf(await listShippedAgain(repository, 'shop'))).toEqual([1, 1, 2, 3, 4, 5]);
  // What this process has shipped itself is known without a listing, be it in the middle.
  const [late] = tenSeconds([2], lineageOf(OTHER, 1)) as [ShippedLog];
  rememberShipped(repository, 'shop', late);
  expect(numbersOf(await listShippedAgain(repository, 'shop'))).toEqual([1, 1, 2, 2, 3, 4, 5]);
});

test('around the seventh digit, where names are in another order than numbers, nothing is missed', async () => {
  const { repository, put } = bucketOf('two');
  const at = (number: number) => shipped(number, number, number + 1);
  const all: number[] = [];
  for (let number = 999_990; number < 1_000_300; number += 13) {
    put([at(number)]);
    all.push(number);
    expect(numbersOf(await listShippedAgain(repository, 'shop'))).toEqual(all);
  }
});

test('repositories and databases are told apart', async () => {
  const [one, two] = [bucketOf('three'), bucketOf('four')];
  one.put(tenSeconds([1]));
  expect(await listShippedAgain(one.repository, 'shop')).toHaveLength(1);
  expect(await listShippedAgain(two.repository, 'shop')).toEqual([]);
  expect(await listShippedAgain(one.repository, 'shop2')).toEqual([]);
});
