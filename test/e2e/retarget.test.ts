import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { approve, deleteOrders, fingerprint, startRecovery } from './accident.ts';
import { expectNothingLeft } from './nothing-left.ts';
import { type Stack, startStack } from './stack.ts';

const ORDERS = 200;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ orders: ORDERS });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

const insertsOf = (status: RunbookStatus): number | undefined =>
  status.plan?.changes.find(({ table }) => table === 'public.orders')?.inserts;

const restoredAt = (status: RunbookStatus) => status.steps.find(({ name }) => name === 'restore')?.startedAt;

/** Rows of orders on the restored server, through the command line as a person looks at it. */
async function restoredOrders(id: string): Promise<number> {
  const look = await stack.holdfast('connect', id, '--', '-Atc', 'SELECT count(*) FROM orders');
  expect(look.stderr).toBe('');
  return Number(look.stdout);
}

/** Retargets to a moment and gives the new plan's status; `--wait` ends with it. */
async function retarget(id: string, time: string): Promise<RunbookStatus> {
  const answer = await stack.holdfast('retarget', id, '--time', time, '--wait', '--output', 'json');
  expect(answer.stderr).toBe('');
  expect(answer.code).toBe(3);
  return JSON.parse(answer.stdout) as RunbookStatus;
}

test('a recovery goes forward and back to other moments while it waits, and what is approved comes back', async () => {
  const first = await deleteOrders(stack, 1, 20);
  const second = await deleteOrders(stack, 21, 40);
  const { rows } = await stack.production.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  const after = rows[0]?.now.toISOString() as string;
  await stack.production.query('UPDATE orders SET status = status WHERE id = 100');

  const id = await startRecovery(stack, second);
  const between = await stack.waitForOutcome(id, 'waiting-for-decision');
  expect(insertsOf(between)).toBe(20);
  expect(await restoredOrders(id)).toBe(ORDERS - 20);

  const forward = await retarget(id, after);
  expect(insertsOf(forward)).toBe(0);
  expect(forward.plan?.target).toEqual({ time: after });
  expect(forward.plan?.digest).not.toBe(between.plan?.digest);
  expect(await restoredOrders(id)).toBe(ORDERS - 40);
  const write = await stack.holdfast('connect', id, '--', '-c', 'DELETE FROM orders');
  expect(write.stderr).toContain('cannot execute DELETE in a read-only transaction');
  // The replay went on where it was.
  expect(restoredAt(forward)).toBe(restoredAt(between));

  const back = await retarget(id, first.at);
  expect(insertsOf(back)).toBe(40);
  expect(await restoredOrders(id)).toBe(ORDERS);
  expect(restoredAt(back)).not.toBe(restoredAt(between));

  const never = await stack.holdfast('retarget', id, '--time', '2020-01-01T00:00:00Z');
  expect(never.code).toBe(1);
  expect(never.stderr).toMatch(/^the target stays as it is: [\s\S]*\nHINT: /);
  const stale = await stack.holdfast('approve', id, '--plan', between.plan?.digest as string);
  expect(stale.stderr).toContain('the plan has changed');
  expect((await stack.status(id)).plan?.digest).toBe(back.plan?.digest);

  await approve(stack, back);
  await stack.waitForOutcome(id, 'completed');
  expect(await fingerprint(stack, 1, 20)).toBe(first.before);
  expect(await fingerprint(stack, 21, 40)).toBe(second.before);
  await expectNothingLeft(stack);
});
