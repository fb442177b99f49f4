import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { accessOf } from '../../src/client/dev/mysql-sample.ts';
import type { ShopKind } from '../../src/client/dev/state.ts';
import { type Connection, connect, type Param } from '../../src/engines/mysql/connection.ts';
import { showBinlogStatus } from '../../src/engines/mysql/flavour.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { expectNothing } from './nothing-left.ts';
import { type Stack, type StackOptions, startStackOf } from './stack.ts';

/** A session in production. */
export interface Production {
  session: Connection;
  /** one statement; the rows where it has any */
  query<T = Record<string, string>>(sql: string, params?: readonly Param[]): Promise<T[]>;
  end(): Promise<void>;
}

export type MysqlStack = Stack<Production>;

export const FLAVOURS = ['mysql', 'mariadb'] as const satisfies readonly ShopKind[];

/** The whole embedded stack with a shop of MySQL or MariaDB. */
export const startMysqlStack = (
  kind: (typeof FLAVOURS)[number],
  options: StackOptions = {},
): Promise<MysqlStack> => startStackOf(kind, openProduction, options);

export async function openProduction(url: string): Promise<Production> {
  const run = { signal: new AbortController().signal };
  const session = await connect(accessOf(url), run, { applicationName: 'test' });
  return {
    session,
    query: (sql, params = []) => session.query(sql, params),
    end: () => session.close(),
  };
}

export const TABLES = ['shop.orders', 'shop.order_items'] as const;

/** A moment with nothing else in its second: logs of MariaDB know no finer one. */
export async function quietMoment({ production }: MysqlStack): Promise<string> {
  await sleep(1_100);
  const [row] = await production.query(
    "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ') AS now",
  );
  await sleep(1_100);
  return row?.now as string;
}

/** Where production's log is, as `--lsn` takes it. */
export async function positionOf({ production }: MysqlStack): Promise<string> {
  const [row] = await production.query(showBinlogStatus(production.session.server));
  return `${row?.File}:${row?.Position}`;
}

/** Every row of orders and of their items with these ids, as one number. */
export async function fingerprint(
  { production }: MysqlStack,
  from: number,
  to: number,
): Promise<{ orders: string; items: string }> {
  const sum = (columns: string) =>
    `CAST(COALESCE(SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS('|', ${columns}), 256), 15), 16, 10) AS UNSIGNED)), 0) AS CHAR)`;
  const [row] = await production.query<{ orders: string; items: string }>(
    `SELECT (SELECT ${sum('id, customer_id, status, placed_at')} FROM orders WHERE id BETWEEN ? AND ?) AS orders,
            (SELECT ${sum('order_id, line, product_id, quantity, price, total')} FROM order_items
              WHERE order_id BETWEEN ? AND ?) AS items`,
    [from, to, from, to],
  );
  return row as { orders: string; items: string };
}

/** Starts a recovery of these tables; returns the workflow id. */
export async function startRecovery(
  stack: MysqlStack,
  target: readonly string[],
  ...more: string[]
): Promise<string> {
  const tables = TABLES.flatMap((table) => ['--table', table]);
  const { workflowId } = await stack.json<{ workflowId: string }>(
    ...['restore', 'pitr', 'shop', ...target, ...tables, '--reason', 'orders were deleted', ...more],
  );
  return workflowId;
}

export async function approve(
  stack: MysqlStack,
  { workflowId, plan }: RunbookStatus,
  ...more: string[]
): Promise<RunbookStatus> {
  const answer = await stack.holdfast(
    ...['approve', workflowId, '--plan', plan?.digest as string, '--by', 'ben', ...more],
  );
  expect(answer.stderr).toBe('');
  return stack.waitForOutcome(workflowId, 'completed');
}

/** No instance, no upload, no process; in production no lock, no staging, and no session that does anything. */
export const expectNothingLeft = (stack: MysqlStack): Promise<void> =>
  expectNothing(stack, async () => {
    const { production } = stack;
    const busy = await production.query(
      `SELECT id FROM information_schema.processlist
        WHERE user = 'holdfast' AND command NOT IN ('Sleep', 'Daemon') AND id <> CONNECTION_ID()`,
    );
    expect(busy).toEqual([]);
    const staged = await production.query(
      `SELECT CONCAT(table_schema, '.', table_name) AS name FROM information_schema.tables
        WHERE table_schema NOT IN ('sys', 'performance_schema', 'information_schema', 'mysql')
          AND (table_schema LIKE '%holdfast%' OR table_name LIKE '%holdfast%' OR table_name LIKE '%stag%')`,
    );
    // What an import leaves on purpose, so that a retry knows it: one small table (`holdfast`.…) of marks.
    expect(staged.map(({ name }) => name).filter((name) => !/^holdfast\./.test(name ?? ''))).toEqual([]);
  });
