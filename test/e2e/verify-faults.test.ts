import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/model/backup.ts';
import type { Verification } from '../../src/model/verification.ts';
import { manifestKey } from '../../src/repository/layout.ts';
import { readVerifications } from '../../src/repository/verifications.ts';
import { type Stack, startStack } from './stack.ts';
import {
  dumpOf,
  flipped,
  forge,
  listenSilently,
  named,
  newestOf,
  overwrite,
  verify,
} from './verifications.ts';

const DAY = 86_400_000;

let stack: Stack;
let real: Manifest;
/** takes connections and never answers */
let silent: { port: number; close(): Promise<void> };
beforeAll(async () => {
  silent = await listenSilently();
  stack = await startStack({
    orders: 300,
    patch: (config, directory) => {
      config.databases.old = {
        ...config.databases.shop,
        objectives: { rpo: '48h', rto: '48h' },
        tiers: { log: 'off', physical: 'off' },
        postgres: { stanza: 'old', dataDirectory: join(directory, 'old') },
      };
      config.databases.unwell = {
        ...config.databases.old,
        postgres: { stanza: 'unwell', dataDirectory: join(directory, 'unwell') },
        verify: {
          health: [
            { command: ['/bin/sh', '-c', 'sleep 600 & sleep 600'], timeout: '1s' },
            { sql: 'SELECT pg_sleep(600) IS NULL', timeout: '1s' },
            { http: `http://127.0.0.1:${silent.port}/health`, timeout: '1s' },
            { sql: 'SELECT count(*) > 1000 FROM orders' },
            { sql: 'SELECT * FROM nowhere' },
            { command: ['/bin/sh', '-c', 'exit 3'] },
            {
              command: [
                ...['psql', '-qc', 'SET default_transaction_read_only = off'],
                ...['-c', 'DELETE FROM order_items'],
              ],
            },
          ],
        },
      };
    },
  });
});
afterAll(async () => {
  await stack?.end();
  await silent?.close();
});

const failed = ({ checks }: Verification) =>
  checks.filter(({ verdict }) => verdict === 'fail').map(({ name, detail }) => `${name}: ${detail}`);

test('no backup at all is a fail, and kept as one', async () => {
  const found = await verify(stack, 'shop');
  expect(found).toMatchObject({ verdict: 'fail', backup: '' });
  expect(failed(found)).toEqual([
    'logical: age: there is no logical backup',
    'physical: age: there is no physical backup',
  ]);
  const records = await readVerifications(stack.repository, 'shop');
  expect(records.map(({ tier, verdict, backup }) => `${tier} ${verdict} ${backup}`).toSorted()).toEqual([
    'logical fail ',
    'physical fail ',
  ]);
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
  real = await newestOf(stack, 'logical');
});

test('a stale backup is a fail, however whole it is', async () => {
  await forge(stack, real, (manifest) => {
    manifest.database = 'old';
    manifest.startedAt = new Date(Date.now() - 4 * DAY).toISOString();
    manifest.finishedAt = manifest.startedAt;
  });
  const found = await verify(stack, 'old');
  expect(found.verdict).toBe('fail');
  expect(failed(found)).toEqual([expect.stringMatching(/^logical: age: stale: .* is 4d(?:\d+s)? old/)]);
  expect(named(found.checks)).toContain('logical: rows: pass');
});

test('a newest backup whose manifest nobody can read is a fail, and not the pass of the one before', async () => {
  await stack.repository.put(manifestKey('old', '20990101T000000Z'), '{"formatVersion": 1, "id"');
  const found = await verify(stack, 'old');
  expect(failed(found)).toContainEqual('logical: manifest: the manifest of 20990101T000000Z cannot be read');
});

describe('a dump', () => {
  const cases: [string, (manifest: Manifest) => void | Promise<void>, RegExp][] = [
    [
      'one bit of which is flipped',
      async (manifest) => {
        const object = dumpOf(manifest);
        object.versionId = await overwrite(stack, object, flipped);
      },
      /shop\.dump\.zst is not what was stored: its sha256 differs/,
    ],
    [
      'whose end is missing',
      async (manifest) => {
        const object = dumpOf(manifest);
        object.versionId = await overwrite(stack, object, (bytes) => bytes.subarray(0, bytes.length - 100));
      },
      /shop\.dump\.zst cannot be read/,
    ],
    [
      'that is gone',
      (manifest) => {
        dumpOf(manifest).key += '-gone';
        dumpOf(manifest).versionId = null;
      },
      /shop\.dump\.zst-gone cannot be read/,
    ],
    [
      'that was broken before it was hashed',
      async (manifest) => {
        const object = dumpOf(manifest);
        object.versionId = await overwrite(stack, object, (bytes) => {
          const broken = flipped(bytes);
          object.sha256 = createHash('sha256').update(broken).digest('hex');
          return broken;
        });
      },
      /the dump of backup forged-\w+ is damaged/,
    ],
    [
      'that lacks a row of the snapshot',
      (manifest) => {
        const { fingerprints } = manifest.databases.find(({ name }) => name === 'shop') ?? {};
        const orders = fingerprints?.tables.find(({ table }) => table === 'public.orders');
        if (orders !== undefined) orders.rows += 1;
      },
      /public\.orders has 300 rows where the backup had 301/,
    ],
    [
      'that lacks a table of the snapshot',
      (manifest) => {
        manifest.databases
          .find(({ name }) => name === 'shop')
          ?.fingerprints?.tables.push({ table: 'public.lost', rows: 1, checksum: '1' });
      },
      /public\.lost is not in the copy/,
    ],
  ];

  test.each(cases)('%s is a fail that says so', async (_, change, words) => {
    const backup = await forge(stack, real, change);
    const found = await verify(stack, 'shop', '--backup', backup);
    expect(found.verdict).toBe('fail');
    expect(found.reasons.join('\n')).toMatch(words);
    const record = (await readVerifications(stack.repository, 'shop')).find((one) => one.backup === backup);
    expect(record?.verdict).toBe('fail');
  });
});

test('health checks that hang, fail, or write into the copy are said, each by itself', async () => {
  await forge(stack, real, (manifest) => {
    manifest.database = 'unwell';
  });
  const found = await verify(stack, 'unwell');
  expect(found.verdict).toBe('fail');
  const health = found.checks.filter(({ name }) => /health/.test(name));
  expect(health.map(({ name, verdict, detail }) => `${name} ${verdict} ${detail}`)).toEqual([
    'logical: health 1 fail /bin/sh did not answer within 1s',
    expect.stringMatching(/^logical: health 2 fail a query/),
    expect.stringMatching(/^logical: health 3 fail http:.* did not answer within 1s/),
    'logical: health 4 fail the query is false: SELECT count(*) > 1000 FROM orders',
    expect.stringMatching(/^logical: health 5 fail a query: .*nowhere/),
    expect.stringMatching(/^logical: health 6 fail \/bin\/sh/),
    expect.stringMatching(/^logical: health 7 pass psql/),
    expect.stringMatching(/^logical: health inconclusive .*somebody has written into it/),
  ]);
});

describe('what pgBackRest keeps', () => {
  /** Damages one object for as long as the work takes. */
  async function damaged(key: string, work: () => Promise<void>): Promise<void> {
    const object = { key, versionId: null, sizeBytes: await sizeOf(key) };
    let good = Buffer.alloc(0);
    await overwrite(stack, object, (bytes) => {
      good = Buffer.from(bytes);
      return flipped(bytes);
    });
    try {
      await work();
    } finally {
      await stack.repository.put(key, good);
    }
  }

  const objects = async (folder: string): Promise<{ key: string; sizeBytes: number }[]> => {
    const found: { key: string; sizeBytes: number }[] = [];
    for await (const { key, sizeBytes } of stack.repository.list(folder)) found.push({ key, sizeBytes });
    return found;
  };
  const sizeOf = async (key: string) =>
    (await objects(key)).find((one) => one.key === key)?.sizeBytes as number;

  beforeAll(async () => {
    await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  });

  test('one flipped bit in a file of the backup is a fail', async () => {
    const { id } = await newestOf(stack, 'physical');
    const files = (await objects(`pgbackrest/backup/shop/${id}/`)).filter(({ key }) => !/manifest/.test(key));
    const largest = files.toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0];
    await damaged(largest?.key as string, async () => {
      const found = await verify(stack, 'shop', '--backup', id);
      expect(found.reasons.join('\n')).toMatch(/^physical: restore is fail: /m);
      expect(found.verdict).toBe('fail');
    });
    expect((await verify(stack, 'shop', '--backup', id)).verdict).toBe('pass');
  });

  test('one flipped bit in a log is a fail that names it', async () => {
    const { id, positions } = await newestOf(stack, 'physical');
    const log = positions.startLog as string;
    const { key } = (await objects('pgbackrest/archive/shop/')).find((one) => one.key.includes(log)) ?? {};
    await damaged(key as string, async () => {
      const found = await verify(stack, 'shop', '--backup', id);
      expect(found.reasons.join('\n')).toMatch(new RegExp(`^physical: restore is fail: .*${log}`, 'm'));
      expect(found.verdict).toBe('fail');
    });
  });
});
