import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Catalog } from '../../src/model/backup.ts';
import { readVerifications } from '../../src/repository/verifications.ts';
import { wholeShop } from './nothing-left.ts';
import { type Stack, startStack } from './stack.ts';
import { named, verify } from './verifications.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    orders: 300,
    patch: (config) => {
      config.databases.shop.verify = {
        highValue: [{ table: 'public.orders', recent: 'placed_at', within: '400d' }],
        bounds: { percent: 5, rows: 10 },
        health: [
          { sql: 'SELECT count(*) > 100 FROM orders' },
          { command: ['/bin/sh', '-c', 'test -n "$PGHOST" && test -n "$PGDATABASE"'] },
        ],
      };
    },
  });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

test('the newest backups of both tiers pass, by name, and the catalog says so', async () => {
  const before = await wholeShop(stack);
  const found = await verify(stack, 'shop');
  expect(found.reasons).toEqual([]);
  expect(named(found.checks)).toEqual([
    ...['logical: age: pass', 'physical: age: pass'],
    ...['logical: objects: pass', 'logical: rows: pass', 'logical: definitions: pass'],
    ...['logical: rows of db postgres: pass', 'logical: definitions of db postgres: pass'],
    ...['logical: extensions: pass', 'logical: schema: pass', 'logical: counts: pass'],
    ...['logical: recent rows of public.orders: pass', 'logical: health 1: pass', 'logical: health 2: pass'],
    ...['physical: integrity: pass', 'physical: collations: pass', 'physical: extensions: pass'],
    ...['physical: schema: pass', 'physical: heartbeat: pass', 'physical: counts: pass'],
    ...[
      'physical: recent rows of public.orders: pass',
      'physical: health 1: pass',
      'physical: health 2: pass',
    ],
  ]);
  expect(found.verdict).toBe('pass');
  expect(await wholeShop(stack)).toBe(before);
  const { backups } = await stack.json<Catalog>('catalog', 'shop');
  expect(backups.map(({ verified }) => verified?.verdict)).toEqual(['pass', 'pass']);
  const records = await readVerifications(stack.repository, 'shop');
  expect(records.map(({ tier }) => tier).toSorted()).toEqual(['logical', 'physical']);
  expect(records[0]?.steps.map(({ name }) => name)).toContain('physical: remove instance');
});
