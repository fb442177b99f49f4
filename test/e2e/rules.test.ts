import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConflictRule, TableChange } from '../../src/model/plan.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { fingerprint, startRecovery } from './accident.ts';
import { expectNothingLeft, wholeShop } from './nothing-left.ts';
import { pause, type Stack, startStack } from './stack.ts';

const ORDERS = 200;

let stack: Stack;
let at: string;
/** of all orders and their items, at the moment and after the accident */
let right: string;
let wrong: string;
let shopWrong: string;
beforeAll(async () => {
  stack = await startStack({ orders: ORDERS });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  right = await fingerprint(stack, 1, ORDERS);
  at = await now();
  await pause(1_100);
  await stack.production.query(`
    DELETE FROM orders WHERE id <= 20;
    UPDATE orders SET status = 'lost' WHERE id BETWEEN 21 AND 50;
    INSERT INTO orders (customer_id, status) SELECT 1, 'after' FROM generate_series(1, 5)`);
  await pause(1_100);
  wrong = await fingerprint(stack, 1, ORDERS);
  shopWrong = await wholeShop(stack);
});
afterAll(async () => {
  await stack?.end();
});

async function now(): Promise<string> {
  const { rows } = await stack.production.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now.toISOString() as string;
}

const ordersUnder = (status: RunbookStatus, rule: ConflictRule): TableChange | undefined =>
  status.plan?.rules
    .find(({ conflict }) => conflict === rule)
    ?.changes.find(({ table }) => table === 'public.orders');

let id: string;

test('the plan shows what every rule would do, and the one that the approval names is done', async () => {
  id = await startRecovery(stack, { at, before: right, ids: [] });
  const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
  expect(waiting.plan?.conflict).toBe('insert-missing');
  expect(ordersUnder(waiting, 'insert-missing')).toMatchObject({ inserts: 20, updates: 0, deletes: 0 });
  expect(ordersUnder(waiting, 'restore-changed')).toMatchObject({ inserts: 20, updates: 30, deletes: 0 });
  expect(ordersUnder(waiting, 'replace')).toMatchObject({ inserts: 20, updates: 30, deletes: 5 });
  const shown = await stack.holdfast('status', id);
  expect(shown.stdout).toMatch(/restore-changed +\d+ +30 +0 +0 +0\n/);
  expect(shown.stdout).toMatch(/replace +\d+ +30 +5 +0 +0\n/);
  expect(await wholeShop(stack)).toBe(shopWrong);

  const plan = ['--plan', waiting.plan?.digest as string];
  const approved = await stack.holdfast(
    'approve',
    id,
    ...plan,
    '--conflict',
    'restore-changed',
    '--by',
    'ben',
  );
  expect(approved.stderr).toBe('');
  expect(approved.stdout).toContain('rule restore-changed');
  const done = await stack.waitForOutcome(id, 'completed');
  expect(done.decisions).toMatchObject([{ by: 'ben', conflict: 'restore-changed' }]);
  expect(await fingerprint(stack, 1, ORDERS)).toBe(right);
  // The rows that came after the moment stay.
  const { rows } = await stack.production.query("SELECT 1 FROM orders WHERE status = 'after'");
  expect(rows).toHaveLength(5);
  await expectNothingLeft(stack);
});
