import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { fingerprint, startRecovery } from './accident.ts';
import { expectNothingLeft, refusalOf, wholeShop } from './nothing-left.ts';
import { pause, type Stack, startStack } from './stack.ts';

const ORDERS = 200;
const TOUCHED = 5;

let stack: Stack;
let at: string;
let recovery: string;
/** the shop after the accident, after the import and one more change, and after the undo */
let wrong: string;
let imported: string;
beforeAll(async () => {
  stack = await startStack({ orders: ORDERS });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  const before = await fingerprint(stack, 1, ORDERS);
  const { rows } = await stack.production.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  at = (rows[0] as { now: Date }).now.toISOString();
  await pause(1_100);
  await stack.production.query(`
    DELETE FROM orders WHERE id <= 20;
    UPDATE orders SET status = 'lost' WHERE id BETWEEN 21 AND 50;
    INSERT INTO orders (customer_id, status) SELECT 1, 'after' FROM generate_series(1, 5)`);
  await pause(1_100);
  wrong = await wholeShop(stack);
  recovery = await startRecovery(stack, { at, before, ids: [] });
  const waiting = await stack.waitForOutcome(recovery, 'waiting-for-decision');
  await approve(waiting, 'replace');
  await stack.waitForOutcome(recovery, 'completed');
  expect(await fingerprint(stack, 1, ORDERS)).toBe(before);
});
afterAll(async () => {
  await stack?.end();
});

async function approve({ workflowId, plan }: RunbookStatus, rule: string): Promise<void> {
  const choice = ['--plan', plan?.digest as string, '--conflict', rule, '--by', 'ben'];
  expect((await stack.holdfast('approve', workflowId, ...choice)).stderr).toBe('');
}

let undos = 0;
async function startUndo(workflowId: string): Promise<RunbookStatus> {
  undos += 1;
  const handle = await stack.temporal.workflow.start('undoImport', {
    args: [{ database: 'shop', workflowId, reason: 'wrong rows', requestedBy: 'ana' }],
    taskQueue: 'holdfast',
    workflowId: `undo/shop/${undos}`,
  });
  return stack.waitForOutcome(handle.workflowId, 'waiting-for-decision');
}

test('an undo that was approved takes back all but what others have changed since', async () => {
  await stack.production.query("UPDATE orders SET status = 'touched' WHERE id = $1", [TOUCHED]);
  imported = await wholeShop(stack);
  const waiting = await startUndo(recovery);
  expect(waiting).toMatchObject({
    runbook: 'undoImport',
    waitingFor: 'undo',
    plan: { conflict: 'keep-changed' },
  });
  const orders = waiting.plan?.changes.find(({ table }) => table === 'public.orders');
  expect(orders).toMatchObject({ inserts: 5, updates: 30, deletes: 19 });
  expect(waiting.plan?.notices.join('\n')).toMatch(/changed/);
  expect(await wholeShop(stack)).toBe(imported);

  await approve(waiting, 'keep-changed');
  const done = await stack.waitForOutcome(waiting.workflowId, 'completed');
  expect(done.message).toBeNull();
  const { rows } = await stack.production.query('SELECT id::int, status FROM orders WHERE id <= 20');
  expect(rows).toEqual([{ id: TOUCHED, status: 'touched' }]);
  const { rows: others } = await stack.production.query(
    "SELECT count(*) FILTER (WHERE status = 'lost')::int AS lost, count(*) FILTER (WHERE status = 'after')::int AS after FROM orders",
  );
  expect(others).toEqual([{ lost: 30, after: 5 }]);
  await expectNothingLeft(stack);
});

test('what the first undo left can still be taken back', async () => {
  const rest = await startUndo(recovery);
  const changes = rest.plan?.rules.map((rule) => rule.changes.find(({ table }) => table === 'public.orders'));
  const none = { inserts: 0, updates: 0, deletes: 0 };
  expect(changes).toMatchObject([none, { ...none, deletes: 1 }]);
  const no = ['--plan', rest.plan?.digest as string, '--by', 'ben'];
  expect((await stack.holdfast('reject', rest.workflowId, ...no)).stderr).toBe('');
  await stack.waitForOutcome(rest.workflowId, 'rejected');
});

test('an undo can be taken back itself', async () => {
  const never = await refusalOf(stack, 'undoImport', {
    ...{ database: 'shop', reason: 'r', requestedBy: 'ana', workflowId: 'pitr/shop/never' },
  });
  expect(never.message).toMatch(/has imported nothing into shop/);

  const waiting = await startUndo('undo/shop/1');
  await approve(waiting, 'keep-changed');
  await stack.waitForOutcome(waiting.workflowId, 'completed');
  expect(await wholeShop(stack)).toBe(imported);
});

test('a row that others have changed is taken back where the approval says so, and not again', async () => {
  // The undo of the undo, taken back: the shop is as after the first undo, save the row that is overwritten.
  await stack.production.query("UPDATE orders SET status = 'touched again' WHERE id = 7");
  const waiting = await startUndo('undo/shop/3');
  await approve(waiting, 'overwrite-changed');
  await stack.waitForOutcome(waiting.workflowId, 'completed');
  const { rows } = await stack.production.query('SELECT id::int FROM orders WHERE id <= 20');
  expect(rows).toEqual([{ id: TOUCHED }]);
  await stack.production.query('DELETE FROM orders WHERE id = $1', [TOUCHED]);
  expect(await wholeShop(stack)).toBe(wrong);

  const input = { database: 'shop', reason: 'r', requestedBy: 'ana' };
  const again = await refusalOf(stack, 'undoImport', { ...input, workflowId: 'undo/shop/3' });
  expect(again.message).toMatch(/taken back already, by undo\/shop\/4 at/);
  // The command line says so before it starts a workflow.
  const refused = await stack.holdfast('undo', 'undo/shop/3', '--reason', 'r');
  expect(refused.stderr).toMatch(/taken back already, by undo\/shop\/4 at/);
  expect(refused.stdout).not.toMatch(/undo\/shop\/\d{8}T/);
});

test('a copy that was put beside its table is dropped', async () => {
  const id = await startRecovery(stack, { at, before: '', ids: [] });
  await approve(await stack.waitForOutcome(id, 'waiting-for-decision'), 'side-by-side');
  await stack.waitForOutcome(id, 'completed');
  const copies = async () => {
    const { rows } = await stack.production.query(
      "SELECT 1 FROM pg_class WHERE relname ~ '_restored_[^_]+$'",
    );
    return rows.length;
  };
  expect(await copies()).toBe(2);
  const waiting = await startUndo(id);
  expect(waiting.plan?.notices.join('\n')).toMatch(/is dropped; that cannot be taken back/);
  await approve(waiting, 'keep-changed');
  const done = await stack.waitForOutcome(waiting.workflowId, 'completed');
  expect(done.message).toBeNull();
  expect(await copies()).toBe(0);
  expect(await wholeShop(stack)).toBe(wrong);
  const again = await refusalOf(stack, 'undoImport', {
    ...{ database: 'shop', reason: 'r', requestedBy: 'ana', workflowId: id },
  });
  expect(again.message).toMatch(/taken back already/);
});
