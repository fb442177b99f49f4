import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { WorkflowFailedError } from '@temporalio/client';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readEvidence } from '../../src/repository/evidence.ts';
import { approve, deleteOrders, startRecovery } from './accident.ts';
import { expectNothingLeft, processesOfSteps, refusalOf, wholeShop } from './nothing-left.ts';
import { type Stack, startStack } from './stack.ts';

const run = promisify(execFile);

let stack: Stack;
let accident: Awaited<ReturnType<typeof deleteOrders>>;
let shop: string;

beforeAll(async () => {
  stack = await startStack({ orders: 500, patch: () => {} });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  accident = await deleteOrders(stack, 1, 50);
  shop = await wholeShop(stack);
});
afterAll(async () => {
  await stack?.end();
});
// Rows that were lost stay lost in all of these: nothing but an approval brings them back.
afterEach(async () => {
  await expectNothingLeft(stack);
  expect(await wholeShop(stack)).toBe(shop);
});

/** The real `temporal` program, against the stack's server. */
async function temporal(...args: string[]): Promise<string> {
  const { address, namespace } = stack.description.temporal;
  const { stdout } = await run('temporal', [...args, '--address', address, '--namespace', namespace]);
  return stdout;
}

async function evidenceOf(workflowId: string) {
  const evidence = await readEvidence(stack.repository, 'shop', workflowId);
  expect(evidence?.imported).toBe(null);
  return evidence?.status as RunbookStatus;
}

const statusName = async (workflowId: string): Promise<string> =>
  (await stack.temporal.workflow.getHandle(workflowId).describe()).status.name;

it('rejected, after stale decisions and a second recovery were refused', async () => {
  const id = await startRecovery(stack, accident);
  const { plan } = await stack.waitForOutcome(id, 'waiting-for-decision');
  const digest = plan?.digest as string;
  expect(plan?.changes.map(({ inserts }) => inserts)).toContain(50);

  const stale = await stack.holdfast('approve', id, '--plan', 'sha256:0000000000000000', '--by', 'ben');
  expect(stale.stderr).toMatch(/refused: the plan has changed.*\n?HINT: .*holdfast status/);
  expect(stale.code).toBe(1);
  const signal = JSON.stringify({ by: 'ben', plan: digest.slice(0, -1) });
  await temporal(...['workflow', 'signal', '--workflow-id', id, '--name', 'approve', '--input', signal]);
  await expect
    .poll(async () => (await stack.status(id)).decisions)
    .toMatchObject([
      { by: 'ben', action: 'approve', refused: expect.stringContaining('the plan has changed') },
    ]);
  expect((await stack.status(id)).outcome).toBe('waiting-for-decision');

  const time = accident.at;
  const second = await stack.holdfast(
    ...['restore', 'pitr', 'shop', '--time', time, '--table', 'orders', '--reason', 'a second one'],
  );
  expect(second.stderr).toContain(`another runbook may change shop right now: ${id}\nHINT: `);
  expect(second.code).toBe(1);
  const input = { database: 'shop', target: { time }, tables: ['orders'], reason: 'x', requestedBy: 'eve' };
  const refusal = await refusalOf(stack, 'pointInTimeRecovery', input);
  expect(refusal.type).toBe('DatabaseBusy');
  expect(refusal.message).toContain(id);
  expect((await stack.status(id)).outcome).toBe('waiting-for-decision');

  const rejected = await stack.holdfast(
    'reject',
    id,
    '--plan',
    digest,
    '--by',
    'ben',
    '--comment',
    'not now',
  );
  expect(rejected.code).toBe(0);
  const result = (await stack.temporal.workflow.getHandle(id).result()) as RunbookStatus;
  expect(result.outcome).toBe('rejected');
  expect((await stack.holdfast('status', id)).code).toBe(4);
  expect((await evidenceOf(id)).decisions.at(-1)).toMatchObject({ action: 'reject', comment: 'not now' });
});

it('two at the same moment: one goes on, the other ends at once and names it', async () => {
  const input = { database: 'shop', target: { time: accident.at }, tables: ['orders'] };
  const handles = await Promise.all(
    ['ana', 'ben'].map((requestedBy) =>
      stack.temporal.workflow.start('pointInTimeRecovery', {
        args: [{ ...input, reason: 'a race', requestedBy }],
        ...{ taskQueue: 'holdfast', workflowId: `pitr/shop/of-${requestedBy}` },
      }),
    ),
  );
  const loser = await Promise.race(handles.map((handle) => handle.result().catch(() => handle)));
  const [winner] = handles.filter((handle) => handle !== loser) as [(typeof handles)[number]];
  expect(await statusName(winner.workflowId)).toBe('RUNNING');
  const error = (await loser.result().catch((failure: unknown) => failure)) as WorkflowFailedError;
  expect(error.cause?.message).toContain(`may change shop right now: ${winner.workflowId}\nHINT: `);
  const { startTime, closeTime } = await loser.describe();
  // Five seconds is the promise; beside other tests on two cores it may take longer.
  expect(Number(closeTime) - Number(startTime)).toBeLessThan(30_000);
  await winner.cancel();
  await expectCancelled(winner.workflowId);
});

it('cancelled while it restores', async () => {
  const id = await startRecovery(stack, accident);
  await stack.waitForStep(id, 'provision', 'done');
  // The restore stands still, so that it is really under way.
  stack.pause('s3');
  try {
    await stack.waitForStep(id, 'restore', 'running');
    await expect.poll(async () => (await processesOfSteps(stack)).length).toBeGreaterThan(0);
    await temporal('workflow', 'cancel', '--workflow-id', id);
    await expect.poll(() => stack.instances(), { timeout: 60_000 }).toEqual([]);
  } finally {
    stack.goOn('s3');
  }
  await expectCancelled(id);
});

it('cancelled while it waits for the decision', async () => {
  const id = await startRecovery(stack, accident);
  await stack.waitForOutcome(id, 'waiting-for-decision');
  await temporal('workflow', 'cancel', '--workflow-id', id);
  await expectCancelled(id);
});

it('cancelled while it imports: it lets go of what it waits for, and nothing was changed', async () => {
  const id = await startRecovery(stack, accident);
  const status = await stack.waitForOutcome(id, 'waiting-for-decision');
  const holder = new pg.Client({ connectionString: stack.description.databases.shop?.url });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE order_items IN ROW EXCLUSIVE MODE');
  try {
    await approve(stack, status);
    await expect.poll(sessionsThatWait, { timeout: 60_000 }).toBe(1);
    await temporal('workflow', 'cancel', '--workflow-id', id);
    await expect.poll(() => stack.instances(), { timeout: 60_000 }).toEqual([]);
    // At once, not when the two minutes are over for which it tries: behind a request that waits, every writer waits.
    expect(await sessionsThatWait()).toBe(0);
  } finally {
    await holder.end();
  }
  await expectCancelled(id);
});

async function sessionsThatWait(): Promise<number> {
  const { rowCount } = await stack.production.query(
    `SELECT FROM pg_locks WHERE relation = 'order_items'::regclass AND NOT granted`,
  );
  return rowCount ?? 0;
}

async function expectCancelled(id: string): Promise<void> {
  await expect(stack.temporal.workflow.getHandle(id).result()).rejects.toThrow(WorkflowFailedError);
  expect(await statusName(id)).toBe('CANCELLED');
  const answer = await stack.holdfast('status', id, '--output', 'json');
  expect(answer.code).toBe(4);
  expect(JSON.parse(answer.stdout)).toMatchObject({ outcome: 'cancelled', instance: null });
  expect((await evidenceOf(id)).outcome).toBe('cancelled');
}

it('terminated: the reaper takes the instance and its server, and nobody is kept out', async () => {
  const id = await startRecovery(stack, accident);
  await stack.waitForOutcome(id, 'waiting-for-decision');
  const [instance] = await stack.instances();
  const idle = await stack.temporal.workflow.execute('instanceReaper', {
    ...{ args: [{}], taskQueue: 'holdfast', workflowId: 'reaper/before' },
  });
  expect(idle).toEqual({ removed: [], unreached: [], undo: { removed: [], why: null } });

  await temporal('workflow', 'terminate', '--workflow-id', id, '--reason', 'a test');
  expect(await stack.instances()).toEqual([instance]);
  expect((await processesOfSteps(stack)).length).toBeGreaterThan(0);
  const { schedule } = stack.temporal;
  try {
    expect(await stack.holdfast('schedules', 'apply')).toMatchObject({ code: 0, stderr: '' });
    await temporal('schedule', 'trigger', '--schedule-id', 'holdfast/instance-reaper');
    await expect.poll(() => stack.instances(), { timeout: 60_000 }).toEqual([]);
  } finally {
    for await (const { scheduleId } of schedule.list()) await schedule.getHandle(scheduleId).delete();
  }
});

it('terminated while it restores: its processes end, and the reaper takes what they left', async () => {
  const id = await startRecovery(stack, accident);
  await stack.waitForStep(id, 'provision', 'done');
  stack.pause('s3');
  try {
    await stack.waitForStep(id, 'restore', 'running');
    await expect.poll(async () => (await processesOfSteps(stack)).length).toBeGreaterThan(0);
    await temporal('workflow', 'terminate', '--workflow-id', id, '--reason', 'a test');
    await expect.poll(() => processesOfSteps(stack), { timeout: 60_000 }).toEqual([]);
  } finally {
    stack.goOn('s3');
  }
  const left = await stack.instances();
  expect(left).toHaveLength(1);
  const reaped = await stack.temporal.workflow.execute('instanceReaper', {
    ...{ args: [{}], taskQueue: 'holdfast', workflowId: 'reaper/after-restore' },
  });
  expect(reaped).toEqual({ removed: left, unreached: [], undo: { removed: [], why: null } });
});

it('expired: nobody decided in time', async () => {
  const config = parse(await readFile(stack.config, 'utf8'));
  config.approval.import.timeLimit = '3s';
  await writeFile(stack.config, stringify(config));
  await stack.killWorker();
  await stack.startWorker();

  const id = await startRecovery(stack, accident);
  const result = (await stack.temporal.workflow.getHandle(id).result()) as RunbookStatus;
  expect(result.outcome).toBe('expired');
  const late = await stack.holdfast('approve', id, '--plan', result.plan?.digest as string);
  expect(late.stderr).toMatch(/does not wait for a decision: it is expired\nHINT: /);
  expect(late.code).toBe(1);
  expect((await stack.holdfast('status', id)).code).toBe(4);
  expect((await evidenceOf(id)).outcome).toBe('expired');
});
