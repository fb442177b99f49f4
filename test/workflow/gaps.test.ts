import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Alert } from '../../src/model/alert.ts';
import type { LogGap } from '../../src/model/backup.ts';
import { gapKey } from '../../src/model/gap.ts';
import { alertWorkflowId, gapBackupId } from '../../src/model/workflow-id.ts';
import { createTestEnvironment } from './environment.ts';
import { record, start, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const gapAt = (segment: string, changes: Partial<LogGap> = {}): LogGap => ({
  ...{ timeline: 1, count: 1, after: null, before: '2026-01-31T14:05:00Z', baseAfter: null },
  ...{ firstMissing: `0000000100000000000000${segment}`, lastMissing: `0000000100000000000000${segment}` },
  ...changes,
});

/** Backups that gaps begin, and alerts, are counted; both are fakes. */
function world() {
  const backups: string[] = [];
  const sent: Alert[] = [];
  return {
    ...{ backups, sent },
    activities: {
      describeProtection: async () => ({ engine: 'postgres', host: 'local', noWorkerAfterMs: 30_000 }),
      takePhysicalBackup: async ({ database, kind }: { database: string; kind: string }) => {
        backups.push(`${kind} of ${database}`);
        return { id: 'x', database, tier: 'physical', kind, sizeBytes: 1 };
      },
      describeChannels: async () => ['webhook 1'],
      sendAlert: async ({ alert }: { alert: Alert }) => {
        sent.push(alert);
      },
    },
  };
}

/** Waits for everything that was begun beside the run. */
async function settled(database: string, gaps: LogGap[], bases = gaps): Promise<void> {
  const ids = [
    ...gaps.map((gap) => alertWorkflowId(gapKey(database, gap))),
    ...bases.map((gap) => gapBackupId(database, gap)),
  ];
  for (const id of ids) await environment.client.workflow.getHandle(id).result();
}

const startsOf = async (handle: WorkflowHandle): Promise<number> => {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.startChildWorkflowExecutionInitiatedEventAttributes != null)
    .length;
};

test('a watcher that sees a log lost tells it and begins a new full, once, and hands each round where it left off', async () => {
  const { backups, sent, activities } = world();
  const [lost, known, covered] = [
    gapAt('05'),
    gapAt('07', { acknowledged: { by: 'ana', at: '2026-01-31T00:00:00Z', reason: 'INC-1' } }),
    gapAt('09', { baseAfter: '20260131-000000F' }),
  ];
  const given: unknown[] = [];
  const watching = {
    describeWatch: async () => ({
      ...{ databases: given.length < 3 ? 1 : 0, intervalMs: 20, noWorkerAfterMs: 30_000, tells: true },
    }),
    watchHost: async ({ cursors }: { cursors: unknown }) => {
      given.push(cursors);
      // A round that saw nothing leaves the cursor as it was.
      if (given.length === 2) return [{ database: 'watched', problem: 'the server is away' }];
      const logs = { timeline: 1, archivedUpTo: null, inFlight: [], lost: [lost, known, covered] };
      const measured = { recoverableAt: '2026-01-31T14:00:00Z', rpoSeconds: 312 };
      return [{ database: 'watched', problem: null, ...measured, logs, cursor: { round: given.length } }];
    },
  };
  await withWorkers(environment, { ...activities, ...watching }, async () => {
    const handle = await start(environment, { host: 'local' }, 'logArchiveWatch');
    await handle.result();
    await settled('watched', [lost as LogGap, covered as LogGap], [lost as LogGap]);
    expect(given).toEqual([{}, { watched: { round: 1 } }, { watched: { round: 1 } }]);
    expect(backups).toEqual(['full of watched']);
    expect(sent.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toMatchObject([
      {
        severity: 'critical',
        title: '1 log of watched is missing, 000000010000000000000005: no moment in between can be recovered',
        text: expect.stringMatching(/^a new full backup begins now/),
        hint: expect.stringContaining(
          'holdfast gap acknowledge watched --gap 000000010000000000000005..000000010000000000000005',
        ),
        workflowId: 'backup/physical/watched/gap-000000010000000000000005-000000010000000000000005',
      },
      { text: 'every moment from the end of 20260131-000000F on can be recovered', workflowId: null },
    ]);
    expect(await startsOf(handle)).toBe(3);
    const reports = await handle.query<object[]>('reports');
    expect(reports).toMatchObject([{ database: 'watched', recoverableAt: '2026-01-31T14:00:00Z' }]);
    expect(JSON.stringify(reports)).not.toContain('cursor');
    await record('log-archive-watch-lost', handle);
  });
});

test('of logs that are shipped a new logical backup begins, once for each gap, also where names come again', async () => {
  const { backups, sent, activities } = world();
  const names = { firstMissing: 'binlog.000001', lastMissing: 'binlog.000001', count: 0 };
  const [first, second] = [
    gapAt('', { ...names, timeline: 101 }),
    gapAt('', { ...names, timeline: 202 }),
  ] as [LogGap, LogGap];
  const rounds = [[first], [first], [first, second]];
  let round = 0;
  const watching = {
    describeProtection: async () => ({ engine: 'mysql', host: 'local', noWorkerAfterMs: 30_000 }),
    takeLogicalBackup: async ({ database }: { database: string }) => {
      backups.push(`logical of ${database}`);
      return { id: 'x', database, tier: 'logical', kind: 'full', sizeBytes: 1 };
    },
    describeWatch: async () => ({
      ...{ databases: round < rounds.length ? 1 : 0, intervalMs: 20, noWorkerAfterMs: 30_000, tells: true },
    }),
    watchHost: async () => {
      const lost = rounds[round] ?? [];
      round += 1;
      const logs = {
        bases: 'logical',
        timeline: 101,
        archivedUpTo: null,
        anchored: false,
        inFlight: [],
        lost,
      };
      return [{ database: 'shipped', problem: null, recoverableAt: null, rpoSeconds: null, logs }];
    },
  };
  await withWorkers(environment, { ...activities, ...watching }, async () => {
    const handle = await start(environment, { host: 'local' }, 'logArchiveWatch');
    await handle.result();
    const ids = [first, second].map((gap) => gapBackupId('shipped', gap, 'logical'));
    expect(ids[0]).toBe('backup/logical/shipped/gap-101-binlog.000001-binlog.000001');
    for (const id of ids) await environment.client.workflow.getHandle(id).result();
    for (const gap of [first, second])
      await environment.client.workflow.getHandle(alertWorkflowId(gapKey('shipped', gap))).result();
    expect(backups).toEqual(['logical of shipped', 'logical of shipped']);
    expect(sent).toMatchObject([
      { title: 'the logs of shipped begin anew with binlog.000001: no moment in between can be recovered' },
      { workflowId: ids[1] },
    ]);
    expect(JSON.stringify(sent)).not.toMatch(/physical|pg_stat/);
  });
});

test('a gap that the watchdog finds too is told once, and has one backup', async () => {
  const { backups, sent, activities } = world();
  const gap = gapAt('0B');
  const found = { problems: [], more: 0, unread: [], gapLooks: { x: 2 }, gaps: [{ database: 'both', gap }] };
  const looks = {
    lookForProblems: async () => ({ found, before: null, tells: true, pings: false }),
  };
  await withWorkers(environment, { ...activities, ...looks }, async () => {
    const first = await start(environment, {}, 'watchdog');
    expect(await first.result()).toMatchObject({ gapLooks: { x: 2 } });
    await settled('both', [gap]);
    await record('watchdog-gap', first);
    const second = await start(environment, {}, 'watchdog');
    await second.result();
    expect(backups).toEqual(['full of both']);
    expect(sent).toHaveLength(1);
    await record('watchdog-gap-again', second);
  });
});

test('where nobody is told, the new full begins all the same', async () => {
  const { backups, sent, activities } = world();
  const gap = gapAt('0D');
  const found = { problems: [], more: 0, unread: [], gaps: [{ database: 'silent', gap }] };
  const looks = { lookForProblems: async () => ({ found, before: null, tells: false, pings: false }) };
  await withWorkers(environment, { ...activities, ...looks }, async () => {
    const handle = await start(environment, {}, 'watchdog');
    await handle.result();
    await settled('silent', [], [gap]);
    expect([backups, sent]).toEqual([['full of silent'], []]);
  });
});
