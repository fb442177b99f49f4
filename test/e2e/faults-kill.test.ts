import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { approve, deleteOrders, fingerprint, startRecovery } from './accident.ts';
import { pause, type Stack, startStack } from './stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
  await stack.json('backup', 'shop', '--tier', 'physical', '--kind', 'full', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

/** Whatever happened: no instance, no open upload, no lock, no staging left in production. */
async function expectNothingLeft(): Promise<void> {
  expect(await stack.instances()).toEqual([]);
  expect(await stack.repository.uploads('')).toEqual([]);
  const { rows: locks } = await stack.production.query(
    `SELECT relation::regclass FROM pg_locks WHERE locktype IN ('relation', 'advisory') AND pid <> pg_backend_pid()
       AND relation IN ('orders'::regclass, 'order_items'::regclass)`,
  );
  expect(locks).toEqual([]);
  const { rows: schemas } = await stack.production.query(
    `SELECT nspname FROM pg_namespace WHERE nspname LIKE '%holdfast%' OR nspname LIKE '%stag%'`,
  );
  expect(schemas).toEqual([]);
}

/** Holds a table so that a step stands still in it; the returned function lets go. */
async function hold(table: string, mode: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: stack.description.databases.shop?.url });
  await client.connect();
  await client.query('BEGIN');
  await client.query(`LOCK TABLE ${table} IN ${mode} MODE`);
  return async () => {
    await client.query('ROLLBACK');
    await client.end();
  };
}

async function killAndRestart(letGo: () => void | Promise<void>): Promise<void> {
  await stack.killWorker();
  await letGo();
  await stack.startWorker();
}

describe('the worker is killed with SIGKILL', () => {
  it.each([
    [
      'dumping',
      async () => {
        const letGo = await hold('orders', 'ACCESS EXCLUSIVE');
        return letGo;
      },
    ],
    [
      'uploading',
      async () => {
        stack.pause('s3');
        return () => stack.goOn('s3');
      },
    ],
  ])('while %s: one backup, no open upload', async (_, stop) => {
    const before = (await listManifests(stack.repository, 'shop')).length;
    const letGo = await stop();
    const { workflowId } = await stack.temporal.workflow.start('logicalBackup', {
      args: [{ database: 'shop' }],
      taskQueue: 'holdfast',
      workflowId: `backup/logical/shop/kill-${_}`,
    });
    await pause(6_000);
    await killAndRestart(letGo);
    await stack.temporal.workflow.result(workflowId);
    expect((await listManifests(stack.repository, 'shop')).length).toBe(before + 1);
    await expectNothingLeft();
  });

  it.each(['restore', 'replay'])('in step %s: the rows come back once', async (step) => {
    const accident = await deleteOrders(stack, 1, 50);
    const id = await startRecovery(stack, accident);
    if (step === 'restore') {
      await stack.waitForStep(id, 'choose base', 'done');
    } else {
      await stack.waitForStep(id, 'restore', 'done');
    }
    stack.pause('s3');
    await pause(1_500);
    await killAndRestart(() => stack.goOn('s3'));
    await finish(id, accident, [1, 50]);
  });

  it('in step compare: the rows come back once', async () => {
    const accident = await deleteOrders(stack, 51, 100);
    const id = await startRecovery(stack, accident);
    await stack.waitForStep(id, 'restore', 'done');
    const letGo = await hold('orders', 'ACCESS EXCLUSIVE');
    await stack.waitForStep(id, 'compare', 'running');
    await pause(1_000);
    await killAndRestart(letGo);
    await finish(id, accident, [51, 100]);
  });

  it('while waiting for the decision: the plan is still the same', async () => {
    const accident = await deleteOrders(stack, 101, 150);
    const id = await startRecovery(stack, accident);
    const before = await stack.waitForOutcome(id, 'waiting-for-decision');
    await killAndRestart(() => {});
    const after = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(after.plan).toEqual(before.plan);
    await finish(id, accident, [101, 150]);
  });

  it('while importing: the rows come back once', async () => {
    const accident = await deleteOrders(stack, 151, 200);
    const id = await startRecovery(stack, accident);
    const status = await stack.waitForOutcome(id, 'waiting-for-decision');
    const letGo = await hold('order_items', 'ROW EXCLUSIVE');
    await approve(stack, status);
    await stack.waitForStep(id, 'import', 'running');
    await pause(1_500);
    await killAndRestart(letGo);
    await finish(id, accident, [151, 200]);
  });
});

/** Approves where that is still to do, and looks at what came of it. */
async function finish(
  id: string,
  accident: Awaited<ReturnType<typeof deleteOrders>>,
  range: [number, number],
): Promise<void> {
  const handle = stack.temporal.workflow.getHandle(id);
  let status = await stack.status(id);
  if (status.decisions.length === 0) {
    status = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(status.plan?.changes[0]).toMatchObject({ table: 'public.orders', inserts: accident.ids.length });
    await approve(stack, status);
  }
  const result = (await handle.result()) as RunbookStatus;
  expect(result.outcome).toBe('completed');
  expect(await fingerprint(stack, ...range)).toBe(accident.before);
  await expectNothingLeft();
}
