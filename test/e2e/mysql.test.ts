import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FindResult } from '../../src/client/find.ts';
import type { ExportedTable } from '../../src/engines/contract/read.ts';
import type { Catalog } from '../../src/model/backup.ts';
import type { Finding } from '../../src/model/finding.ts';
import type { ConflictRule, TableChange } from '../../src/model/plan.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readEvidence } from '../../src/repository/evidence.ts';
import { HAS_MYSQL_CLIENTS } from '../engine/mysql-server.ts';
import {
  approve,
  expectNothingLeft,
  FLAVOURS,
  fingerprint,
  type MysqlStack,
  positionOf,
  quietMoment,
  startMysqlStack,
  startRecovery,
} from './mysql-stack.ts';
import { FOUND_SOON, pause } from './stack.ts';

const ORDERS = 300;

describe.each(FLAVOURS.filter((kind) => kind !== 'mysql' || HAS_MYSQL_CLIENTS))('a shop of %s', (kind) => {
  let stack: MysqlStack;
  /** of all orders and their items, before the accident and after it */
  let right: { orders: string; items: string };
  let wrong: { orders: string; items: string };
  /** just before the accident, in each way to say it */
  let at: string;
  let position: string;
  let since: string;
  let backup: string;

  beforeAll(async () => {
    stack = await startMysqlStack(kind, { orders: ORDERS, ...FOUND_SOON });
    // The log watch ships what recoveries read.
    await stack.json('schedules', 'apply');
    await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
    const catalog = await stack.json<Catalog>('catalog', 'shop');
    backup = catalog.backups[0]?.id as string;
    since = await quietMoment(stack);
    // Something to replay before it: four updates of every item.
    for (let round = 0; round < 4; round += 1) {
      await stack.production.query('UPDATE order_items SET quantity = quantity % 5 + 1');
    }
    right = await fingerprint(stack, 1, ORDERS);
    at = await quietMoment(stack);
    position = await positionOf(stack);
    await stack.production.query('START TRANSACTION');
    await stack.production.query('DELETE FROM orders WHERE id <= 20');
    await stack.production.query(
      "UPDATE orders SET status = 'returned', customer_id = 7 WHERE id BETWEEN 21 AND 50",
    );
    await stack.production.query('COMMIT');
    await stack.production.query('INSERT INTO orders (customer_id) VALUES (1), (1), (1), (1), (1)');
    await pause(1_100);
    wrong = await fingerprint(stack, 1, 10 * ORDERS);
  }, 180_000);
  afterAll(async () => {
    await stack?.end();
  });
  // A test that fails must not take the following ones with it.
  afterEach(async () => {
    for await (const { workflowId } of stack.temporal.workflow.list({
      query: 'ExecutionStatus = "Running" AND HoldfastRunbook = "pointInTimeRecovery"',
    })) {
      const handle = stack.temporal.workflow.getHandle(workflowId);
      await handle.cancel();
      await handle.result().catch(() => {});
    }
  });

  const ordersUnder = (status: RunbookStatus, rule: ConflictRule): TableChange | undefined =>
    status.plan?.rules
      .find(({ conflict }) => conflict === rule)
      ?.changes.find(({ table }) => table === 'shop.orders');

  async function reject(id: string): Promise<void> {
    const { plan } = await stack.status(id);
    await stack.holdfast('reject', id, '--plan', plan?.digest as string, '--by', 'ben');
    await stack.waitForOutcome(id, 'rejected');
    expect(await fingerprint(stack, 1, 10 * ORDERS)).toEqual(wrong);
    await expectNothingLeft(stack);
  }

  /** Takes an import back, and production is as it was after the accident. */
  async function takeBack(workflowId: string): Promise<void> {
    const { workflowId: undo } = await stack.json<{ workflowId: string }>(
      ...['undo', workflowId, '--reason', 'only to see that it can be taken back'],
    );
    await approve(stack, await stack.waitForOutcome(undo, 'waiting-for-decision'));
    expect(await fingerprint(stack, 1, 10 * ORDERS)).toEqual(wrong);
  }

  test('its environment says what it is', async () => {
    const { databases } = stack.description;
    expect(databases.shop?.engine).toBe('mysql');
    expect(databases.shop?.url).toMatch(/^mysql:\/\/holdfast:.+@127\.0\.0\.1:\d+\/shop$/);
    const shown = await stack.holdfast('catalog', 'shop');
    expect(shown.stdout).not.toMatch(/LSN|timeline|physical/);
  });

  test('the doctor finds its server, its programs and its logs in place', async () => {
    const { stdout } = await stack.holdfast('doctor', '--output', 'json');
    const { checks } = JSON.parse(stdout) as { checks: Finding[] };
    const names = checks.map(({ check }) => check);
    for (const name of [
      ...['server of shop', 'dump client for shop', 'shop: rights', 'shop: binary log', 'shop: log format'],
      ...['site local: server programs for shop', 'site local: logs of shop', 'clock of shop'],
    ]) {
      expect(names).toContain(name);
    }
    expect(names).not.toContain('pgbackrest');
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('a position is a target too', async () => {
    const id = await startRecovery(stack, ['--lsn', position]);
    const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(ordersUnder(waiting, 'restore-changed')).toMatchObject({ inserts: 20, updates: 30 });
    const { stdout } = await stack.holdfast('status', id);
    expect(stdout).toContain(`position ${position}`);
    expect(stdout).not.toContain('LSN');
    await reject(id);
  }, 180_000);

  // The recovery before it has closed the log that the accident is in.
  test('find names the transaction, and its command goes back to just before it', async () => {
    const found = await stack.json<FindResult & { command: string }>(
      ...['find', 'shop', '--table', 'orders', '--since', since],
    );
    expect(found.table).toBe('shop.orders');
    const { likeliest } = found;
    expect(likeliest).toMatchObject({ deleted: 20, updated: 30, xid: null });
    expect(likeliest?.lsn).toMatch(/^binlog\.\d{6}:\d+$/);
    expect(likeliest?.gtid).toMatch(kind === 'mysql' ? /^[0-9a-f-]{36}:\d+$/ : /^\d+-\d+-\d+$/);
    expect(found.command).toContain(`--gtid ${likeliest?.gtid} --exclusive --table shop.orders`);

    const id = await startRecovery(stack, ['--gtid', likeliest?.gtid as string]);
    const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(ordersUnder(waiting, 'replace')).toMatchObject({ inserts: 20, updates: 30, deletes: 5 });
    expect((await stack.holdfast('status', id)).stdout).toContain(`just before GTID ${likeliest?.gtid}`);

    // With it, nothing is left to bring back but what came after.
    const answer = await stack.holdfast(
      ...['retarget', id, '--gtid', likeliest?.gtid as string, '--inclusive', '--wait', '--output', 'json'],
    );
    expect(answer.code).toBe(3);
    expect(ordersUnder(JSON.parse(answer.stdout), 'replace')).toMatchObject({
      inserts: 0,
      updates: 0,
      deletes: 5,
    });
    await reject(id);
  }, 180_000);

  test('it goes to another moment while it waits, forward and back; the copy can be looked at', async () => {
    const look = async (id: string) => {
      const answer = await stack.holdfast(
        'connect',
        id,
        '--',
        '-N',
        '-e',
        'SELECT COUNT(*) FROM shop.orders',
      );
      expect(answer.stderr).not.toContain('ERROR');
      return Number(answer.stdout);
    };
    const retarget = async (id: string, ...target: string[]) => {
      const answer = await stack.holdfast('retarget', id, ...target, '--wait', '--output', 'json');
      expect(answer.code).toBe(3);
      return JSON.parse(answer.stdout) as RunbookStatus;
    };
    const restoredAt = ({ steps }: RunbookStatus) => steps.find(({ name }) => name === 'restore')?.startedAt;

    const id = await startRecovery(stack, ['--time', at]);
    const first = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(await look(id)).toBe(ORDERS);
    const after = await quietMoment(stack);
    // A log is known to reach a moment by something after it.
    await stack.production.query('UPDATE customers SET name = name WHERE id = 1');
    const forward = await retarget(id, '--time', after);
    expect(await look(id)).toBe(ORDERS - 20 + 5);
    expect(restoredAt(forward)).toBe(restoredAt(first));
    const write = await stack.holdfast('connect', id, '--', '-e', 'DELETE FROM shop.orders');
    expect(write.code).toBe(1);

    const back = await retarget(id, '--time', at);
    expect(await look(id)).toBe(ORDERS);
    expect(restoredAt(back)).not.toBe(restoredAt(first));
    const stale = await stack.holdfast('approve', id, '--plan', forward.plan?.digest as string);
    expect(stale.stderr).toContain('the plan has changed');
    await reject(id);
  }, 240_000);

  test('tables go into files, and nobody is asked', async () => {
    const answer = await stack.holdfast(
      ...['restore', 'pitr', 'shop', '--time', at, '--table', 'shop.orders', '--export', 'csv:repository'],
      ...['--reason', 'to look at', '--wait', '--output', 'json'],
    );
    expect(answer.stderr).toBe('');
    const status = JSON.parse(answer.stdout) as RunbookStatus;
    expect(status).toMatchObject({ outcome: 'completed', plan: null, decisions: [] });
    const evidence = await readEvidence(stack.repository, 'shop', status.workflowId);
    const [file] = (evidence?.exported ?? []) as ExportedTable[];
    expect(file).toMatchObject({ table: 'shop.orders', rows: ORDERS });
    const text = (await stack.repository.getText(file?.place as string)) as string;
    expect(text.trim().split('\n')).toHaveLength(ORDERS + 1);
    expect(await fingerprint(stack, 1, 10 * ORDERS)).toEqual(wrong);
    await expectNothingLeft(stack);
  }, 120_000);

  test('its backup is proved by a restore, and the catalog says so', async () => {
    const answer = await stack.holdfast('verify', 'shop', '--wait', '--output', 'json');
    expect(answer.stderr).toBe('');
    expect(answer.code).toBe(0);
    const catalog = await stack.json<Catalog>('catalog', 'shop');
    expect(catalog.backups.find(({ id }) => id === backup)?.verified).toMatchObject({ verdict: 'pass' });
    expect(catalog.gaps).toEqual([]);
    await expectNothingLeft(stack);
  }, 180_000);

  test('a worker that is killed while it replays is no matter', async () => {
    const id = await startRecovery(stack, ['--time', at]);
    await stack.waitForStep(id, 'replay', 'running');
    await stack.killWorker();
    await stack.startWorker();
    const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(ordersUnder(waiting, 'replace')).toMatchObject({ inserts: 20, updates: 30, deletes: 5 });
    await reject(id);
  }, 300_000);

  test('the plan shows what every rule would do; each is done and taken back', async () => {
    for (const rule of ['insert-missing', 'restore-changed', 'replace', 'side-by-side'] as const) {
      const id = await startRecovery(stack, ['--time', at]);
      const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
      expect(ordersUnder(waiting, 'insert-missing')).toMatchObject({ inserts: 20, updates: 0, deletes: 0 });
      expect(ordersUnder(waiting, 'restore-changed')).toMatchObject({ inserts: 20, updates: 30, deletes: 0 });
      expect(ordersUnder(waiting, 'replace')).toMatchObject({ inserts: 20, updates: 30, deletes: 5 });
      expect(ordersUnder(waiting, 'side-by-side')).toMatchObject({ inserts: ORDERS });
      expect(await fingerprint(stack, 1, 10 * ORDERS)).toEqual(wrong);

      await approve(stack, waiting, '--conflict', rule);
      const now = await fingerprint(stack, 1, 10 * ORDERS);
      if (rule === 'side-by-side') expect(now).toEqual(wrong);
      if (rule === 'replace') expect(now).toEqual(right);
      if (rule === 'restore-changed') expect(await fingerprint(stack, 1, ORDERS)).toEqual(right);
      if (rule === 'insert-missing') {
        const [row] = await stack.production.query('SELECT COUNT(*) AS count FROM orders WHERE id <= 50');
        expect(row).toEqual({ count: '50' });
      }
      await takeBack(id);
      await expectNothingLeft(stack);
    }
  }, 300_000);

  test('single tables come back from a backup, also one that was dropped', async () => {
    await stack.production.query('DROP TABLE warehouse.`Stock Level`');
    const { workflowId } = await stack.json<{ workflowId: string }>(
      ...['restore', 'table', 'shop', '--table', 'warehouse."Stock Level"', '--reason', 'INC-7'],
    );
    const waiting = await stack.waitForOutcome(workflowId, 'waiting-for-decision');
    expect(waiting).toMatchObject({ runbook: 'selectiveTableRestore', plan: { backup, target: { backup } } });
    expect(waiting.plan?.changes).toMatchObject([{ table: 'warehouse."Stock Level"', inserts: 200 }]);
    await approve(stack, waiting);
    const [row] = await stack.production.query(
      'SELECT COUNT(*) AS count, SUM(`on hand` = product_id * 17 % 400) AS same FROM warehouse.`Stock Level`',
    );
    expect(row).toEqual({ count: '200', same: '200' });
    await expectNothingLeft(stack);
  }, 120_000);
});
