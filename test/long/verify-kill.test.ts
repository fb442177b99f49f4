import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Verification } from '../../src/model/verification.ts';
import { expectNothingLeft } from '../e2e/nothing-left.ts';
import { pause, type Stack, startStack } from '../e2e/stack.ts';

/** In the order in which a run comes to them. */
const STAGES = [
  ...['logical: restore', 'logical: check', 'logical: ask about its health'],
  ...['physical: restore', 'physical: replay', 'physical: check', 'physical: count the copy'],
];

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    orders: 300,
    patch: (config) => {
      config.databases.shop.objectives = { rpo: '1h', rto: '1h' };
      config.databases.shop.verify = { health: [{ sql: 'SELECT count(*) > 100 FROM orders' }] };
    },
  });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

test('a worker that is killed in every stage of one run changes nothing of its verdict', async () => {
  const { workflowId } = await stack.json<{ workflowId: string }>('verify', 'shop');
  const handle = stack.temporal.workflow.getHandle(workflowId);
  for (const stage of STAGES) {
    await begun(workflowId, stage);
    await stack.killWorker();
    await stack.startWorker();
  }
  const found = (await handle.result()) as Verification;
  expect(found.reasons).toEqual([]);
  expect(found.verdict).toBe('pass');
  await expectNothingLeft(stack);
});

async function begun(workflowId: string, stage: string): Promise<void> {
  for (let tries = 0; tries < 3_000; tries += 1) {
    const status = await stack.status(workflowId).catch(() => null);
    if (status?.steps.some(({ name, startedAt }) => name === stage && startedAt !== null)) return;
    if (status !== null && status.outcome !== 'running') break;
    await pause(50);
  }
  throw new Error(`${workflowId} never came to ${stage}`);
}
