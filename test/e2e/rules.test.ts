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
  expect(ordersUnder(waiting, 'side-by-side')).toMatchObject({ inserts: ORDERS });
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

test('an import is taken back, but for what others have changed since', async () => {
  await stack.production.query("UPDATE orders SET status = 'sent' WHERE id = 21");
  const answer = await stack.holdfast(
    ...['undo', id, '--reason', 'the rows were right', '--requested-by', 'ana', '--wait', '--output', 'json'],
  );
  expect(answer.stderr).toBe('');
  expect(answer.code).toBe(3);
  const waiting = JSON.parse(answer.stdout) as RunbookStatus;
  expect(waiting.workflowId).toMatch(/^undo\/shop\//);
  expect(waiting.plan?.conflict).toBe('keep-changed');
  expect(waiting.plan?.rules.map(({ conflict }) => conflict)).toEqual(['keep-changed', 'overwrite-changed']);
  const second = await stack.holdfast('undo', id, '--reason', 'twice');
  expect(second.stderr).toContain(`another runbook may change shop right now: ${waiting.workflowId}`);

  const plan = ['--plan', waiting.plan?.digest as string];
  const approved = await stack.holdfast('approve', waiting.workflowId, ...plan, '--by', 'ben');
  expect(approved.stderr).toBe('');
  const done = (await stack.temporal.workflow.getHandle(waiting.workflowId).result()) as RunbookStatus;
  expect(done.outcome).toBe('completed');
  expect(done.evidence).toMatch(/^evidence\/shop\/undo/);
  const { rows } = await stack.production.query('SELECT status FROM orders WHERE id = 21');
  expect(rows).toEqual([{ status: 'sent' }]);
  await stack.production.query("UPDATE orders SET status = 'lost' WHERE id = 21");
  expect(await fingerprint(stack, 1, ORDERS)).toBe(wrong);
  expect(await wholeShop(stack)).toBe(shopWrong);
  await expectNothingLeft(stack);
});

test('what left nothing to undo is refused before anything is started', async () => {
  const none = await stack.holdfast('undo', 'pitr/shop/20000101T000000Z', '--reason', 'x');
  expect(none.code).toBe(2);
  expect(none.stderr).toMatch(/has imported nothing into shop\nHINT: /);
});
