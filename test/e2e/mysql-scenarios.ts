import { expect, test } from 'vitest';
import type { FindResult } from '../../src/client/find.ts';
import type { ExportedTable } from '../../src/engines/contract/read.ts';
import type { Catalog } from '../../src/model/backup.ts';
import type { Finding } from '../../src/model/finding.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readEvidence } from '../../src/repository/evidence.ts';
import { type Accident, expectUntouched, ORDERS, ordersUnder, reject, takeBack } from './mysql-accident.ts';
import { approve, expectNothingLeft, fingerprint, quietMoment, startRecovery } from './mysql-stack.ts';

export function testEnvironment(accident: Accident): void {
  test('its environment says what it is', async () => {
    const { stack } = accident;
    const { databases } = stack.description;
    expect(databases.shop?.engine).toBe('mysql');
    expect(databases.shop?.url).toMatch(/^mysql:\/\/holdfast:.+@127\.0\.0\.1:\d+\/shop$/);
    const shown = await stack.holdfast('catalog', 'shop');
    expect(shown.stdout).not.toMatch(/LSN|timeline|physical/);
  });
}

export function testDoctor(accident: Accident): void {
  test('the doctor finds its server, its programs and its logs in place', async () => {
    const { stack } = accident;
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
}

export function testPosition(accident: Accident): void {
  test('a position is a target too', async () => {
    const { stack, position } = accident;
    const id = await startRecovery(stack, ['--lsn', position]);
    const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(ordersUnder(waiting, 'restore-changed')).toMatchObject({ inserts: 20, updates: 30 });
    const { stdout } = await stack.holdfast('status', id);
    expect(stdout).toContain(`position ${position}`);
    expect(stdout).not.toContain('LSN');
    await reject(accident, id);
  }, 180_000);
}

/** Only after a recovery, which closes the log that the accident is in. */
export function testFind(accident: Accident): void {
  test('find names the transaction, and its command goes back to just before it', async () => {
    const { kind, stack, since } = accident;
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
    await reject(accident, id);
  }, 180_000);
}

export function testRetarget(accident: Accident): void {
  test('it goes to another moment while it waits, forward and back; the copy can be looked at', async () => {
    const { stack, at } = accident;
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
    await reject(accident, id);
  }, 240_000);
}

export function testExport(accident: Accident): void {
  test('tables go into files, and nobody is asked', async () => {
    const { stack, at } = accident;
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
    await expectUntouched(accident);
    await expectNothingLeft(stack);
  }, 120_000);
}

export function testVerify(accident: Accident): void {
  test('its backup is proved by a restore, and the catalog says so', async () => {
    const { stack, backup } = accident;
    const answer = await stack.holdfast('verify', 'shop', '--wait', '--output', 'json');
    expect(answer.stderr).toBe('');
    expect(answer.code).toBe(0);
    const catalog = await stack.json<Catalog>('catalog', 'shop');
    expect(catalog.backups.find(({ id }) => id === backup)?.verified).toMatchObject({ verdict: 'pass' });
    expect(catalog.gaps).toEqual([]);
    await expectNothingLeft(stack);
  }, 180_000);
}

export function testKilledWorker(accident: Accident): void {
  test('a worker that is killed while it replays is no matter', async () => {
    const { stack, at } = accident;
    const id = await startRecovery(stack, ['--time', at]);
    await stack.waitForStep(id, 'replay', 'running');
    await stack.killWorker();
    await stack.startWorker();
    const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
    expect(ordersUnder(waiting, 'replace')).toMatchObject({ inserts: 20, updates: 30, deletes: 5 });
    await reject(accident, id);
  }, 300_000);
}

export function testRules(accident: Accident, rules: readonly ConflictRule[]): void {
  test(`the plan shows what every rule would do; ${rules.join(' and ')} is done and taken back`, async () => {
    const { stack, at, right, wrong } = accident;
    for (const rule of rules) {
      const id = await startRecovery(stack, ['--time', at]);
      const waiting = await stack.waitForOutcome(id, 'waiting-for-decision');
      expect(ordersUnder(waiting, 'insert-missing')).toMatchObject({ inserts: 20, updates: 0, deletes: 0 });
      expect(ordersUnder(waiting, 'restore-changed')).toMatchObject({ inserts: 20, updates: 30, deletes: 0 });
      expect(ordersUnder(waiting, 'replace')).toMatchObject({ inserts: 20, updates: 30, deletes: 5 });
      expect(ordersUnder(waiting, 'side-by-side')).toMatchObject({ inserts: ORDERS });
      await expectUntouched(accident);

      await approve(stack, waiting, '--conflict', rule);
      const now = await fingerprint(stack, 1, 10 * ORDERS);
      if (rule === 'side-by-side') expect(now).toEqual(wrong);
      if (rule === 'replace') expect(now).toEqual(right);
      if (rule === 'restore-changed') expect(await fingerprint(stack, 1, ORDERS)).toEqual(right);
      if (rule === 'insert-missing') {
        const [row] = await stack.production.query('SELECT COUNT(*) AS count FROM orders WHERE id <= 50');
        expect(row).toEqual({ count: '50' });
      }
      await takeBack(accident, id);
      await expectNothingLeft(stack);
    }
  }, 300_000);
}

/** The last: it leaves its table as the backup has it. */
export function testDroppedTable(accident: Accident): void {
  test('single tables come back from a backup, also one that was dropped', async () => {
    const { stack, backup } = accident;
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
}
