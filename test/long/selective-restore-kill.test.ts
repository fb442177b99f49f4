import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { approve, deleteOrders, fingerprint } from '../e2e/accident.ts';
import { expectNothingLeft } from '../e2e/nothing-left.ts';
import { pause, type Stack, startStack } from '../e2e/stack.ts';

// A killed worker's step is found after its heartbeat's time-out.
vi.setConfig({ testTimeout: 300_000 });

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ orders: 300 });
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

let holder: pg.Client | null = null;

/** Holds a table so that a step stands still in it, until letGo. */
async function hold(table: string, mode: string): Promise<void> {
  holder = new pg.Client({ connectionString: stack.description.databases.shop?.url });
  await holder.connect();
  await holder.query(`BEGIN; LOCK TABLE ${table} IN ${mode} MODE`);
}

async function letGo(): Promise<void> {
  stack.goOn('s3');
  await holder?.end();
  holder = null;
}

// A test that fails must not take the following ones with it.
afterEach(async () => {
  await letGo();
  const running = 'ExecutionStatus = "Running" AND WorkflowType = "selectiveTableRestore"';
  for await (const { workflowId } of stack.temporal.workflow.list({ query: running })) {
    const handle = stack.temporal.workflow.getHandle(workflowId);
    await handle.cancel();
    await handle.result().catch(() => {});
  }
});

/** The step before the one that is to be struck, and what makes that one stand still. */
const STAGES: Record<string, { behind: string; stop: () => Promise<void> | void }> = {
  restore: { behind: 'choose backup', stop: () => stack.pause('s3') },
  check: { behind: 'restore', stop: () => stack.pause('s3') },
  // Only the search for orphans reads the parents of a table.
  compare: { behind: 'provision', stop: () => hold('customers', 'ACCESS EXCLUSIVE') },
  decide: { behind: 'compare', stop: () => {} },
};

it.each(Object.keys(STAGES))('killed in step %s: the rows come back once', async (stage) => {
  const { behind, stop } = STAGES[stage] as (typeof STAGES)[string];
  const accident = await deleteOrders(stack, 1, 50);
  const id = await start();
  await stack.waitForStep(id, behind, 'done');
  await stop();
  if (stage === 'compare') await stack.waitForStep(id, 'compare', 'running');
  await pause(1_000);
  await stack.killWorker();
  await letGo();
  await stack.startWorker();
  const status = await stack.waitForOutcome(id, 'waiting-for-decision');
  expect(status.plan?.changes.find(({ table }) => table === 'public.orders')?.inserts).toBe(50);
  await approve(stack, status);
  await finish(id, accident.before);
});

it('killed in step import: the rows come back once', async () => {
  const accident = await deleteOrders(stack, 1, 50);
  const id = await start();
  const status = await stack.waitForOutcome(id, 'waiting-for-decision');
  await hold('order_items', 'ROW EXCLUSIVE');
  await approve(stack, status);
  await stack.waitForStep(id, 'import', 'running');
  await pause(1_000);
  await stack.killWorker();
  await letGo();
  await stack.startWorker();
  await finish(id, accident.before);
});

async function start(): Promise<string> {
  const tables = ['orders', 'order_items'].flatMap((table) => ['--table', table]);
  const { workflowId } = await stack.json<{ workflowId: string }>(
    ...['restore', 'table', 'shop', ...tables, '--reason', 'a test'],
  );
  return workflowId;
}

async function finish(id: string, before: string): Promise<void> {
  const result = (await stack.temporal.workflow.getHandle(id).result()) as RunbookStatus;
  expect(result.outcome).toBe('completed');
  expect(await fingerprint(stack, 1, 50)).toBe(before);
  await expectNothingLeft(stack);
}
