import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Catalog } from '../../src/model/backup.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import type { Verification } from '../../src/model/verification.ts';
import { readVerifications } from '../../src/repository/verifications.ts';
import { atFullSpeed } from './full-speed.ts';
import { expectNothingLeft, wholeShop } from './nothing-left.ts';
import { type Stack, startStack } from './stack.ts';
import { named, newestOf, verify } from './verifications.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    orders: 300,
    patch: (config) => {
      config.databases.shop.objectives = { rpo: '1h', rto: '1h' };
      config.databases.shop.verify = {
        highValue: [{ table: 'public.orders', recent: 'placed_at', within: '400d' }],
        bounds: { percent: 5, rows: 100_000 },
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

test('the catalog and the status of a verification say it in words', async () => {
  const { stdout } = await stack.holdfast('catalog', 'shop');
  expect(stdout).toMatch(/pass, \d+s ago|pass, \d+m\d*s? ago/);
});

test('what production changed in its schema since is said, and no fault of the backup', async () => {
  await stack.production.query(
    'ALTER TABLE customers ADD COLUMN note text; CREATE TABLE later AS SELECT generate_series(1, 10000) n',
  );
  const found = await verify(stack, 'shop');
  expect(found.reasons).toEqual([]);
  const schema = found.checks.find(({ name }) => name === 'logical: schema');
  expect(schema).toMatchObject({
    verdict: 'pass',
    detail: expect.stringMatching(/note .* is new in production/),
  });
  expect(found.checks.find(({ name }) => name === 'logical: counts')?.detail).toMatch(
    /later is not in the copy/,
  );
});

test('every db of the server is looked at, and tables that are not in the logs confuse nobody', async () => {
  await stack.production.query('CREATE DATABASE "Other db"');
  await stack.production.query('CREATE UNLOGGED TABLE scratch AS SELECT generate_series(1, 50000) n');
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
  const found = await verify(stack, 'shop');
  expect(found.reasons).toEqual([]);
  expect(named(found.checks)).toContain('logical: rows of db Other db: pass');
});

test('a physical backup that is named comes to its own consistent point', async () => {
  const { id } = await newestOf(stack, 'physical');
  const found = await verify(stack, 'shop', '--backup', id);
  expect(found).toMatchObject({ verdict: 'pass', backup: id });
  expect(named(found.checks).filter((name) => /heartbeat|counts|age/.test(name))).toEqual([]);
});

test('production that is written at full speed makes no verification waver', async () => {
  const commits = await atFullSpeed(stack, async () => {
    await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
    for (let run = 1; run <= 2; run += 1) {
      const answer = await stack.json<RunbookStatus>('verify', 'shop', '--wait');
      const found = (await stack.temporal.workflow.getHandle(answer.workflowId).result()) as Verification;
      expect(found.reasons).toEqual([]);
    }
  });
  expect(commits).toBeGreaterThan(100);
  await expectNothingLeft(stack);
});

test('production that is away leaves the verdict open, and fails no backup', async () => {
  await stack.stopProduction();
  const answer = await stack.json<RunbookStatus>('verify', 'shop', '--wait');
  const found = (await stack.temporal.workflow.getHandle(answer.workflowId).result()) as Verification;
  await stack.startProduction();
  expect(found.verdict).toBe('inconclusive');
  expect(found.checks.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  expect(found.reasons.join('\n')).toMatch(/production was not counted: PostgreSQL at .* cannot be reached/);
  expect(named(found.checks)).toEqual(
    expect.arrayContaining(['logical: rows: pass', 'physical: heartbeat: pass']),
  );
  await expectNothingLeft(stack);
});
