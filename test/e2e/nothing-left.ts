import { readdir, readFile, readlink } from 'node:fs/promises';
import { type ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import { expect } from 'vitest';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { changeWorkflowId } from '../../src/model/workflow-id.ts';
import type { Stack } from './stack.ts';

/**
 * Whatever happened: no instance, no open upload, no lock and no staging in production, no process of a step, nobody
 * who holds the right to change the database. What is left is removed all the same: the next test of the file is of
 * something else.
 */
export async function expectNothingLeft(stack: Stack): Promise<void> {
  await expectNothing(stack, () => lookInProduction(stack));
}

/** The same with another way to look for locks and stagings in production. */
export async function expectNothing<P>(
  stack: Stack<P>,
  lookInProduction: () => Promise<void>,
): Promise<void> {
  try {
    await lookForRemains(stack);
    await lookInProduction();
  } catch (error) {
    await removeRemains(stack).catch(() => {});
    throw error;
  }
}

async function removeRemains({ temporal }: Pick<Stack, 'temporal'>): Promise<void> {
  for await (const { workflowId } of temporal.workflow.list({ query: `ExecutionStatus = 'Running'` })) {
    await temporal.workflow
      .getHandle(workflowId)
      .terminate('left by a failed test')
      .catch(() => {});
  }
  await temporal.workflow.execute('instanceReaper', {
    ...{ args: [{}], taskQueue: 'holdfast', workflowId: `reaper/${crypto.randomUUID()}` },
    workflowExecutionTimeout: '60s',
  });
}

/** Temporal ends the child of a terminated run a moment later. */
async function lookForRemains<P>(stack: Stack<P>): Promise<void> {
  expect(await stack.instances()).toEqual([]);
  expect(await stack.repository.uploads('')).toEqual([]);
  await expect.poll(() => processesOfSteps(stack)).toEqual([]);
  await expect.poll(() => changeHolder(stack, 'shop')).toBe('none');
}

async function lookInProduction(stack: Stack): Promise<void> {
  const { rows: sessions } = await stack.production.query(
    `SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast %' AND state <> 'idle'`,
  );
  expect(sessions).toEqual([]);
  const { rows: locks } = await stack.production.query(
    `SELECT relation::regclass::text FROM pg_locks WHERE pid <> pg_backend_pid()
        AND (locktype = 'advisory' OR relation IN ('orders'::regclass, 'order_items'::regclass))`,
  );
  expect(locks).toEqual([]);
  const { rows: schemas } = await stack.production.query(
    `SELECT nspname FROM pg_namespace WHERE nspname LIKE '%holdfast%' OR nspname LIKE '%stag%'`,
  );
  expect(schemas).toEqual([]);
}

/** Every row of the shop, as one md5. */
export async function wholeShop(stack: Stack): Promise<string> {
  const { rows } = await stack.production.query<{ md5: string }>(
    `SELECT md5(concat(
       (SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o),
       (SELECT md5(string_agg(i::text, '|' ORDER BY order_id, line)) FROM order_items i),
       (SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM customers c))) AS md5`,
  );
  return rows[0]?.md5 as string;
}

async function changeHolder(stack: Pick<Stack, 'temporal'>, database: string): Promise<string> {
  const handle = stack.temporal.workflow.getHandle(changeWorkflowId(database));
  const status = await handle.describe().then(
    (description) => description.status.name,
    () => 'none',
  );
  return status === 'RUNNING' ? 'RUNNING' : 'none';
}

/** Programs that the workers started (they inherit their temporary folder) and servers of instances. */
export async function processesOfSteps(
  stack: Pick<Stack, 'directory'>,
): Promise<{ pid: number; command: string }[]> {
  const { workers, instances, second } = layoutOf(stack.directory);
  const temporary = Object.values(workers).map((worker) => `TMPDIR=${worker.temporary}\0`);
  const folders = [instances, second.instances].map((folder) => `${folder}/`);
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const ofStep = temporary.some((variable) => environment.includes(variable));
    if (!ofStep && !folders.some((place) => folder.startsWith(place))) continue;
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
      .split('\0')
      .join(' ')
      .trim();
    // A worker is no program of a step.
    if (command !== '' && !command.includes('src/client/main.ts worker')) found.push({ pid, command });
  }
  return found;
}

/** Starts a workflow as any client of Temporal would, and returns the failure that it has to end with. */
export async function refusalOf(stack: Stack, type: string, input: unknown): Promise<ApplicationFailure> {
  const handle = await stack.temporal.workflow.start(type, {
    args: [input],
    taskQueue: 'holdfast',
    workflowId: `fault/${crypto.randomUUID()}`,
  });
  const error = await handle.result().then(
    (result) => result,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const failure = (error as WorkflowFailedError).cause as ApplicationFailure;
  expect(failure.message).toMatch(/\nHINT: \S/);
  return failure;
}
