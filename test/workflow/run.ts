import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ApplicationFailure } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { expect, inject } from 'vitest';
import type { Decide } from '../../src/model/decision.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { encodeHistory } from './history.ts';

const HISTORIES = fileURLToPath(new URL('../replay/histories/', import.meta.url));

/** Workers on all queues of a one-host, one-site configuration, for as long as `work` runs. */
export async function withWorkers<T>(
  environment: TestWorkflowEnvironment,
  activities: object,
  work: () => Promise<T>,
  queues: string[] = [hostQueue('local'), siteQueue('local')],
): Promise<T> {
  // A cancellation arrives with a heartbeat.
  const maxHeartbeatThrottleInterval = '200ms';
  const shared = { connection: environment.nativeConnection, activities, maxHeartbeatThrottleInterval };
  const control = await Worker.create({
    ...shared,
    taskQueue: CONTROL_QUEUE,
    workflowBundle: { codePath: inject('workflowBundle') as string },
  });
  const others: Worker[] = [];
  for (const taskQueue of queues) others.push(await Worker.create({ ...shared, taskQueue }));
  const running = others.map((worker) => worker.run());
  try {
    return await control.runUntil(work());
  } finally {
    for (const worker of others) worker.shutdown();
    await Promise.all(running);
  }
}

export const INPUT = {
  database: 'shop',
  reason: 'rows were deleted',
  requestedBy: 'ana',
  target: { time: '2026-01-31T14:05:00Z' },
  tables: ['public.orders'],
};

export async function start(
  environment: TestWorkflowEnvironment,
  input: object = INPUT,
  type = 'pointInTimeRecovery',
): Promise<WorkflowHandle> {
  return environment.client.workflow.start(type, {
    args: [input],
    taskQueue: CONTROL_QUEUE,
    workflowId: `pitr/shop/${randomUUID()}`,
  });
}

export async function statusOf(handle: WorkflowHandle): Promise<RunbookStatus> {
  return handle.query<RunbookStatus>('status');
}

export async function waitFor(
  handle: WorkflowHandle,
  outcome: RunbookStatus['outcome'],
): Promise<RunbookStatus> {
  for (let tries = 0; tries < 300; tries += 1) {
    const status = await statusOf(handle);
    if (status.outcome === outcome) return status;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${handle.workflowId} never was ${outcome}: ${JSON.stringify(await statusOf(handle))}`);
}

/** The arguments of update `decide` that approve the plan that is shown. */
export const approve = (status: RunbookStatus, by = 'ben', choice: Partial<Decide> = {}) => ({
  args: [{ by, action: 'approve', plan: status.plan?.digest, ...choice }] as [unknown],
});

/** The failure that a workflow ended with. */
export async function failureOf(promise: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  return (error as WorkflowFailedError).cause as ApplicationFailure;
}

/** With HOLDFAST_RECORD set, keeps the history of a branch for test/replay where it has none yet. */
export async function record(name: string, handle: WorkflowHandle): Promise<void> {
  if (process.env.HOLDFAST_RECORD === undefined) return;
  await mkdir(HISTORIES, { recursive: true });
  const bytes = encodeHistory(await handle.fetchHistory());
  await writeFile(`${HISTORIES}${name}.history`, bytes, { flag: 'wx' }).catch((error: { code?: string }) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
