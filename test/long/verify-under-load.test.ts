import { afterAll, beforeAll, expect, it } from 'vitest';
import { atFullSpeed } from '../e2e/full-speed.ts';
import { expectNothingLeft } from '../e2e/nothing-left.ts';
import { type Stack, startStack } from '../e2e/stack.ts';

const RUNS = 20;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    patch: (config) => {
      config.databases.shop.verify = {
        highValue: [{ table: 'public.orders', recent: 'placed_at', within: '400d' }],
        // What production may grow by in one run at this speed.
        bounds: { percent: 10, rows: 1_000_000 },
        health: [{ sql: 'SELECT count(*) >= 2000 FROM orders' }],
      };
    },
  });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

it(`production that is written at full speed makes none of ${RUNS} verifications waver`, async () => {
  const verdicts: string[] = [];
  await atFullSpeed(stack, async () => {
    for (let run = 1; run <= RUNS; run += 1) {
      if (run % 5 === 1) await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
      verdicts.push((await verify()).join('; ') || 'pass');
    }
  });
  expect(verdicts).toEqual(Array.from({ length: RUNS }, () => 'pass'));
  await expectNothingLeft(stack);
});

/** The reasons of one verification. */
async function verify(): Promise<string[]> {
  const { workflowId } = await stack.json<{ workflowId: string }>('verify', 'shop', '--wait');
  const found = (await stack.temporal.workflow.getHandle(workflowId).result()) as { reasons: string[] };
  return found.reasons;
}
