import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { approve, deleteOrders, fingerprint, startRecovery } from './accident.ts';
import { expectNothingLeft } from './nothing-left.ts';
import { pause, type Stack, startStack } from './stack.ts';

// A killed worker's step is found after its heartbeat's time-out.
vi.setConfig({ testTimeout: 300_000 });

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
  await stack.json('backup', 'shop', '--tier', 'physical', '--kind', 'full', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

const held: pg.Client[] = [];

/** Holds a table so that a step stands still in it, until letGo. */
async function hold(table: string, mode: string): Promise<void> {
  const client = new pg.Client({ connectionString: stack.description.databases.shop?.url });
  await client.connect();
  held.push(client);
  await client.query('BEGIN');
  await client.query(`LOCK TABLE ${table} IN ${mode} MODE`);
}

async function letGo(): Promise<void> {
  for (const client of held.splice(0)) await client.end();
}

// A test that fails must not take the following ones with it.
afterEach(async () => {
  await letGo();
  stack.goOn('s3');
  const running = 'ExecutionStatus = "Running" AND WorkflowType = "pointInTimeRecovery"';
  for await (const { workflowId } of stack.temporal.workflow.list({ query: running })) {
    const handle = stack.temporal.workflow.getHandle(workflowId);
    await handle.cancel();
    await handle.result().catch(() => {});
  }
});

async function killAndRestart(goOn: () => void | Promise<void>): Promise<void> {
  await stack.killWorker();
  await goOn();
  await stack.startWorker();
}

describe('the worker is killed with SIGKILL', () => {
  it.each(['dumping', 'uploading'])('while %s: one backup, no open upload', async (stage) => {
    const before = (await listManifests(stack.repository, 'shop')).length;
    if (stage === 'dumping') await hold('orders', 'ACCESS EXCLUSIVE');
    else stack.pause('s3');
    const { workflowId } = await stack.temporal.workflow.start('logicalBackup', {
      args: [{ database: 'shop' }],
      taskQueue: 'holdfast',
      workflowId: `backup/logical/shop/kill-${stage}`,
    });
    await pause(6_000);
    await killAndRestart(() => (stage === 'dumping' ? letGo() : stack.goOn('s3')));
    await stack.temporal.workflow.result(workflowId);
    expect((await listManifests(stack.repository, 'shop')).length).toBe(before + 1);
    await expectNothingLeft(stack);
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
    // Only the search for orphans reads the parents of a table.
    await hold('customers', 'ACCESS EXCLUSIVE');
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
    await hold('order_items', 'ROW EXCLUSIVE');
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
    const orders = status.plan?.changes.find(({ table }) => table === 'public.orders');
    expect(orders?.inserts).toBe(accident.ids.length);
    await approve(stack, status);
  }
  const result = (await handle.result()) as RunbookStatus;
  expect(result.outcome).toBe('completed');
  expect(await fingerprint(stack, ...range)).toBe(accident.before);
  await expectNothingLeft(stack);
}
