import type { RunbookStatus } from '../../src/model/runbook.ts';
import { pause, type Stack } from './stack.ts';

/** What an accident took, and a fingerprint of all of it from before. */
export interface Accident {
  at: string;
  /** md5 over all rows of orders and their items with these ids */
  before: string;
  ids: number[];
}

const TABLES = ['public.orders', 'public.order_items'];

/** Deletes some orders, and by cascade their items, as a wrong WHERE clause would. */
export async function deleteOrders(stack: Stack, from: number, to: number): Promise<Accident> {
  const before = await fingerprint(stack, from, to);
  const { rows } = await stack.production.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  await pause(100);
  const deleted = await stack.production.query<{ id: string }>(
    'DELETE FROM orders WHERE id BETWEEN $1 AND $2 RETURNING id',
    [from, to],
  );
  await pause(100);
  const [moment] = rows;
  if (moment === undefined) throw new Error('the server gave no time');
  return { at: moment.now.toISOString(), before, ids: deleted.rows.map(({ id }) => Number(id)) };
}

export async function fingerprint(stack: Stack, from: number, to: number): Promise<string> {
  const { rows } = await stack.production.query<{ md5: string }>(
    `SELECT md5(
       (SELECT coalesce(string_agg(o::text, '|' ORDER BY id), '') FROM orders o WHERE id BETWEEN $1 AND $2) ||
       (SELECT coalesce(string_agg(i::text, '|' ORDER BY order_id, line), '') FROM order_items i WHERE order_id BETWEEN $1 AND $2)
     ) AS md5`,
    [from, to],
  );
  return rows[0]?.md5 as string;
}

/** Starts a recovery of the two tables to just before the accident; returns the workflow id. */
export async function startRecovery(stack: Stack, accident: Accident, ...more: string[]): Promise<string> {
  const tables = TABLES.flatMap((table) => ['--table', table]);
  const started = await stack.json<{ workflowId: string }>(
    ...[
      'restore',
      'pitr',
      'shop',
      '--time',
      accident.at,
      ...tables,
      '--reason',
      'orders were deleted',
      ...more,
    ],
  );
  return started.workflowId;
}

export async function approve(stack: Stack, status: RunbookStatus): Promise<void> {
  await stack.json('approve', status.workflowId, '--plan', status.plan?.digest as string, '--by', 'ben');
}
