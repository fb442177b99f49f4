import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Catalog } from '../../src/model/backup.ts';
import type { ConflictRule, TableChange } from '../../src/model/plan.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import {
  approve,
  expectNothingLeft,
  type FLAVOURS,
  fingerprint,
  type MysqlStack,
  positionOf,
  quietMoment,
  startMysqlStack,
} from './mysql-stack.ts';
import { FOUND_SOON, pause } from './stack.ts';

export const ORDERS = 300;

/** A shop in which twenty orders were deleted and thirty were changed, and five have come since. */
export interface Accident {
  kind: (typeof FLAVOURS)[number];
  stack: MysqlStack;
  /** the base of all recoveries */
  backup: string;
  /** of all orders and their items, before the accident and after it */
  right: { orders: string; items: string };
  wrong: { orders: string; items: string };
  /** before anything was changed */
  since: string;
  /** just before the accident, in two ways to say it */
  at: string;
  position: string;
}

/** Makes it before the tests of the enclosing `describe`, which have it filled in; they leave it as it is. */
export function withAccident(kind: Accident['kind']): Accident {
  const accident = { kind } as Accident;
  beforeAll(async () => {
    const stack = await startMysqlStack(kind, { orders: ORDERS, ...FOUND_SOON });
    accident.stack = stack;
    // The log watch ships what recoveries read.
    await stack.json('schedules', 'apply');
    await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
    const catalog = await stack.json<Catalog>('catalog', 'shop');
    accident.backup = catalog.backups[0]?.id as string;
    accident.since = await quietMoment(stack);
    // Something to replay before it: four updates of every item.
    for (let round = 0; round < 4; round += 1) {
      await stack.production.query('UPDATE order_items SET quantity = quantity % 5 + 1');
    }
    accident.right = await fingerprint(stack, 1, ORDERS);
    accident.at = await quietMoment(stack);
    accident.position = await positionOf(stack);
    await stack.production.query('START TRANSACTION');
    await stack.production.query('DELETE FROM orders WHERE id <= 20');
    await stack.production.query(
      "UPDATE orders SET status = 'returned', customer_id = 7 WHERE id BETWEEN 21 AND 50",
    );
    await stack.production.query('COMMIT');
    await stack.production.query('INSERT INTO orders (customer_id) VALUES (1), (1), (1), (1), (1)');
    await pause(1_100);
    accident.wrong = await fingerprint(stack, 1, 10 * ORDERS);
  }, 180_000);
  afterAll(async () => {
    await accident.stack?.end();
  });
  // A test that fails must not take the following ones with it.
  afterEach(async () => {
    const { workflow } = accident.stack.temporal;
    for await (const { workflowId } of workflow.list({
      query: 'ExecutionStatus = "Running" AND HoldfastRunbook = "pointInTimeRecovery"',
    })) {
      const handle = workflow.getHandle(workflowId);
      await handle.cancel();
      await handle.result().catch(() => {});
    }
  });
  return accident;
}

export const ordersUnder = (status: RunbookStatus, rule: ConflictRule): TableChange | undefined =>
  status.plan?.rules
    .find(({ conflict }) => conflict === rule)
    ?.changes.find(({ table }) => table === 'shop.orders');

/** Production is as it was after the accident. */
export async function expectUntouched({ stack, wrong }: Accident): Promise<void> {
  expect(await fingerprint(stack, 1, 10 * ORDERS)).toEqual(wrong);
}

export async function reject(accident: Accident, id: string): Promise<void> {
  const { stack } = accident;
  const { plan } = await stack.status(id);
  await stack.holdfast('reject', id, '--plan', plan?.digest as string, '--by', 'ben');
  await stack.waitForOutcome(id, 'rejected');
  await expectUntouched(accident);
  await expectNothingLeft(stack);
}

/** Takes an import back. */
export async function takeBack(accident: Accident, workflowId: string): Promise<void> {
  const { stack } = accident;
  const { workflowId: undo } = await stack.json<{ workflowId: string }>(
    ...['undo', workflowId, '--reason', 'only to see that it can be taken back'],
  );
  await approve(stack, await stack.waitForOutcome(undo, 'waiting-for-decision'));
  await expectUntouched(accident);
}
