import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { type Accident, approve, deleteOrders, fingerprint, startRecovery } from './accident.ts';
import { expectNothingLeft } from './nothing-left.ts';
import { FOUND_SOON, pause, type Stack, startStack } from './stack.ts';

/** A stack whose worker is killed with SIGKILL, at points where it is made to stand still. */
export interface Killing {
  stack: Stack;
  /** Holds a table so that a step stands still in it, until letGo. */
  hold(table: string, mode: string): Promise<void>;
  letGo(): Promise<void>;
  killAndRestart(goOn: () => void | Promise<void>): Promise<void>;
}

/** Makes it before the tests of this file. */
export function withKilling(): Killing {
  const held: pg.Client[] = [];
  const killing = {
    async hold(table, mode) {
      const client = new pg.Client({ connectionString: killing.stack.description.databases.shop?.url });
      await client.connect();
      held.push(client);
      await client.query('BEGIN');
      await client.query(`LOCK TABLE ${table} IN ${mode} MODE`);
    },
    async letGo() {
      for (const client of held.splice(0)) await client.end();
    },
    async killAndRestart(goOn) {
      await killing.stack.killWorker();
      await goOn();
      await killing.stack.startWorker();
    },
  } as Killing;
  beforeAll(async () => {
    killing.stack = await startStack(FOUND_SOON);
    await killing.stack.json('backup', 'shop', '--tier', 'physical', '--kind', 'full', '--wait');
  });
  afterAll(async () => {
    await killing.stack?.end();
  });
  // A test that fails must not take the following ones with it.
  afterEach(async () => {
    const { stack } = killing;
    await killing.letGo();
    stack.goOn('s3');
    const running = 'ExecutionStatus = "Running" AND WorkflowType = "pointInTimeRecovery"';
    for await (const { workflowId } of stack.temporal.workflow.list({ query: running })) {
      const handle = stack.temporal.workflow.getHandle(workflowId);
      await handle.cancel();
      await handle.result().catch(() => {});
    }
  });
  return killing;
}

/** A killed worker's step is found after its heartbeat's time-out. */
const LIMIT_MS = 300_000;

export function testBackup(killing: Killing, stage: 'dumping' | 'uploading'): void {
  it(
    `while ${stage}: one backup, no open upload`,
    async () => {
      const { stack, hold, letGo, killAndRestart } = killing;
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
    },
    LIMIT_MS,
  );
}

export function testRestored(killing: Killing, step: 'restore' | 'replay'): void {
  it(
    `in step ${step}: the rows come back once`,
    async () => {
      const { stack, killAndRestart } = killing;
      const accident = await deleteOrders(stack, 1, 50);
      const id = await startRecovery(stack, accident);
      await stack.waitForStep(id, step === 'restore' ? 'choose base' : 'restore', 'done');
      stack.pause('s3');
      await pause(1_500);
      await killAndRestart(() => stack.goOn('s3'));
      await finish(killing, id, accident, [1, 50]);
    },
    LIMIT_MS,
  );
}

export function testCompared(killing: Killing): void {
  it(
    'in step compare: the rows come back once',
    async () => {
      const { stack, hold, letGo, killAndRestart } = killing;
      const accident = await deleteOrders(stack, 51, 100);
      const id = await startRecovery(stack, accident);
      await stack.waitForStep(id, 'restore', 'done');
      // Only the search for orphans reads the parents of a table.
      await hold('customers', 'ACCESS EXCLUSIVE');
      await stack.waitForStep(id, 'compare', 'running');
      await pause(1_000);
      await killAndRestart(letGo);
      await finish(killing, id, accident, [51, 100]);
    },
    LIMIT_MS,
  );
}

export function testDecided(killing: Killing): void {
  it(
    'while waiting for the decision: the plan is still the same',
    async () => {
      const { stack, killAndRestart } = killing;
      const accident = await deleteOrders(stack, 101, 150);
      const id = await startRecovery(stack, accident);
      const before = await stack.waitForOutcome(id, 'waiting-for-decision');
      await killAndRestart(() => {});
      const after = await stack.waitForOutcome(id, 'waiting-for-decision');
      expect(after.plan).toEqual(before.plan);
      await finish(killing, id, accident, [101, 150]);
    },
    LIMIT_MS,
  );
}

export function testImported(killing: Killing): void {
  it(
    'while importing: the rows come back once',
    async () => {
      const { stack, hold, letGo, killAndRestart } = killing;
      const accident = await deleteOrders(stack, 151, 200);
      const id = await startRecovery(stack, accident);
      const status = await stack.waitForOutcome(id, 'waiting-for-decision');
      await hold('order_items', 'ROW EXCLUSIVE');
      await approve(stack, status);
      await stack.waitForStep(id, 'import', 'running');
      await pause(1_500);
      await killAndRestart(letGo);
      await finish(killing, id, accident, [151, 200]);
    },
    LIMIT_MS,
  );
}

/** Approves where that is still to do, and looks at what came of it. */
async function finish(
  { stack }: Killing,
  id: string,
  accident: Accident,
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
