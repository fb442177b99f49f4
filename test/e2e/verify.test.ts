import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import type { BackupSummary } from '../../src/activities/publish.ts';
import { createSnapshotActivities } from '../../src/activities/snapshotting.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Catalog } from '../../src/model/backup.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import type { NoSnapshot } from '../../src/model/snapshot.ts';
import type { Verification } from '../../src/model/verification.ts';
import { toolBackupFolder } from '../../src/repository/layout.ts';
import { readRetention } from '../../src/repository/retention.ts';
import { readVerifications } from '../../src/repository/verifications.ts';
import { ENGINES } from '../../src/workers/engines.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { approve } from './accident.ts';
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

test('each is locked from its end on for as long as it is kept, the files of the tool too', async () => {
  const { backups } = await stack.json<Catalog>('catalog', 'shop');
  const days = (from: string, to: string | undefined) =>
    (Date.parse(to ?? '') - Date.parse(from)) / 86_400_000;
  const locked = backups.map(({ tier, finishedAt, lockedUntil }) => [
    tier,
    days(finishedAt, lockedUntil ?? ''),
  ]);
  expect(locked.toSorted()).toEqual([
    ['logical', 30],
    ['physical', 90],
  ]);
  const { id, finishedAt } = await newestOf(stack, 'physical');
  const key = `${toolBackupFolder('shop')}${id}/backup.manifest`;
  const { lock } = await readRetention(stack.repository, { key, versionId: null });
  expect(lock?.mode).toBe('COMPLIANCE');
  expect(days(finishedAt, lock?.until)).toBe(90);
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

test('the first of the month that passed becomes its snapshot, once, and is one only after a restore of its own', async () => {
  const take = () =>
    stack.json<RunbookStatus & { result: BackupSummary & NoSnapshot }>(
      ...['backup', 'shop', '--tier', 'snapshot', '--wait'],
    );
  const { result } = await take();
  expect(result).toMatchObject({ tier: 'snapshot', id: expect.stringMatching(/^snapshot-\d{8}-\d{6}F$/) });
  expect((await take()).result).toEqual({
    id: result.id,
    skipped: expect.stringMatching(/^shop has its snapshot of \d{4}-\d\d already: snapshot-/),
  });
  const shown = async () => {
    const { backups } = await stack.json<Catalog>('catalog', 'shop');
    return backups.find(({ id }) => id === result.id);
  };
  expect(await shown()).toMatchObject({ tier: 'snapshot', dependsOn: [], verified: null });
  const found = await verify(stack, 'shop', '--backup', result.id);
  expect(found).toMatchObject({ verdict: 'pass', backup: result.id });
  expect(named(found.checks)).toContain('snapshot: integrity: pass');
  expect((await shown())?.verified?.verdict).toBe('pass');
  await expectNothingLeft(stack);
});

/** Many times: test/long/verify-under-load.test.ts. */
test('production that is written at full speed makes no verification waver', async () => {
  const commits = await atFullSpeed(stack, async () => {
    await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
    const answer = await stack.json<RunbookStatus>('verify', 'shop', '--wait');
    const found = (await stack.temporal.workflow.getHandle(answer.workflowId).result()) as Verification;
    expect(found.reasons).toEqual([]);
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

test('when nothing but the snapshots is left, tables come back from either kind by the runbooks', async () => {
  const ofPhysical = await newestOf(stack, 'snapshot');
  const ofLogical = await copyNewestDump();
  for await (const { key } of stack.repository.list('')) {
    if (/^(?:pgbackrest|logical|log)\//.test(key)) await stack.repository.remove(key);
  }
  const missing = async () => {
    const { rows } = await stack.production.query(
      'SELECT 300 - count(*)::int AS n FROM orders WHERE id <= 300',
    );
    return rows[0]?.n as number;
  };
  const bringBack = async (kind: string, backup: string) => {
    await stack.production.query('DELETE FROM orders WHERE id % 3 = 0');
    expect(await missing()).toBe(100);
    const { workflowId } = await stack.json<{ workflowId: string }>(
      ...['restore', kind, 'shop', '--backup', backup, '--table', 'orders', '--table', 'order_items'],
      ...['--reason', 'the bucket was emptied'],
    );
    const waiting = await stack.waitForOutcome(workflowId, 'waiting-for-decision');
    expect(waiting.plan?.backup).toBe(backup);
    await approve(stack, waiting);
    await stack.waitForOutcome(workflowId, 'completed');
    expect(await missing()).toBe(0);
  };
  await bringBack('pitr', ofPhysical.id);
  await bringBack('table', ofLogical.id);

  const [wrongWay, unfit] = [
    await stack.holdfast('restore', 'pitr', 'shop', '--backup', ofLogical.id, '--reason', 'a test'),
    await stack.holdfast(
      ...['restore', 'table', 'shop', '--backup', ofPhysical.id, '--table', 'orders', '--reason', 'a test'],
    ),
  ];
  expect(wrongWay.stderr).toMatch(
    /is a snapshot of a logical one: a whole server cannot be recovered from it/,
  );
  expect(unfit.stderr).toMatch(/is a snapshot of a physical one, not logical\nHINT: .*restore pitr/);
  expect((await verify(stack, 'shop', '--backup', ofLogical.id)).reasons).toEqual([]);
  await expectNothingLeft(stack);
});

/** The month's snapshot is of the physical tier here: the other kind is copied by the same activity. */
async function copyNewestDump(): Promise<BackupSummary> {
  const config = await loadConfig(stack.config);
  const deps: Dependencies = {
    ...{ config, client: stack.temporal, engines: ENGINES, host: 'local' },
    ...{ logger: pino({ enabled: false }), metrics: NO_METRICS },
  };
  const { id } = await newestOf(stack, 'logical');
  return new MockActivityEnvironment().run(createSnapshotActivities(deps).takeSnapshot, {
    ...{ database: 'shop', backup: id, at: new Date().toISOString() },
    madeBy: { workflowId: 'w', runId: 'r' },
  });
}
