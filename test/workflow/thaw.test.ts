import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DRILL_MEMO } from '../../src/model/drill.ts';
import { CONTROL_QUEUE } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import type { Verification } from '../../src/model/verification.ts';
import { createTestEnvironment } from './environment.ts';
import { type Fakes, fakeActivities, fakeBase, type RunbookActivities } from './fakes.ts';
import { approve, failureOf, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const ARCHIVED = { storageClass: 'GLACIER', objects: 1_204, bytes: 12.1e9, hours: 5 };
const archivedBase = (tables: string[] | null) => ({ ...fakeBase(tables), archived: ARCHIVED });

interface Given {
  /** how many objects are still to come at each look; the last one ever after */
  left: number[];
  thaw?: { lookEveryMs: number; timeLimitMs: number };
  activities?: Partial<RunbookActivities>;
}

function thawing({ left, thaw = { lookEveryMs: 50, timeLimitMs: 60_000 }, activities }: Given): Fakes {
  const looks = [...left];
  return fakeActivities({
    settings: { thaw },
    activities: {
      chooseBase: async ({ tables }) => archivedBase(tables),
      requestThaw: async () => ({ left: (looks.length > 1 ? looks.shift() : looks[0]) as number }),
      ...activities,
    },
  });
}

const detailOf = ({ steps }: RunbookStatus) => steps.find(({ name }) => name === 'thaw')?.detail;

it('waits until everything is back before it makes an instance, and goes on', async () => {
  const fakes = thawing({ left: [1_204, 1_173, 0] });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start(environment);
    const waiting = await waitFor(handle, 'waiting-for-decision');
    const before = fakes.calls.slice(0, fakes.calls.indexOf('provisionInstance'));
    expect(before).toEqual(['describeRecovery', 'chooseBase', 'requestThaw', 'requestThaw', 'requestThaw']);
    expect(waiting.steps.slice(0, 3).map(({ name, state }) => `${name} ${state}`)).toEqual([
      ...['choose base done', 'thaw done', 'provision done'],
    ]);
    expect(detailOf(waiting)).toBe('1,204 of 1,204 objects are back');
    await handle.executeUpdate('decide', approve(waiting));
    expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
    await record('thawed', handle);
  });
});

/** Waits until nothing but the timer is left to wait for. */
async function whileThawing(handle: WorkflowHandle): Promise<RunbookStatus> {
  await expect.poll(async () => detailOf(await statusOf(handle))).toMatch(/are back; about/);
  return statusOf(handle);
}

it('says while it waits how many are back and how long it takes, and holds nothing that has to be removed', async () => {
  const fakes = thawing({ left: [1_173], thaw: { lookEveryMs: 3_600_000, timeLimitMs: 7_200_000 } });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start(environment);
    expect(detailOf(await whileThawing(handle))).toBe('31 of 1,204 objects are back; about 5 h');
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect((await statusOf(handle)).outcome).toBe('cancelled');
    expect(fakes.calls).not.toContain('provisionInstance');
    await record('thaw-cancelled', handle);
  });
});

it('gives up after its time limit, and says that another run goes on from there', async () => {
  const fakes = thawing({ left: [3], thaw: { lookEveryMs: 20, timeLimitMs: 1 } });
  await withWorkers(environment, fakes.activities, async () => {
    const failure = await failureOf((await start(environment)).result());
    expect(failure.type).toBe('RepositoryUnavailable');
    expect(failure.message).toMatch(/^3 objects are still in GLACIER after 1ms\nHINT: .*another run goes on/);
  });
});

it('thaws the base of another target too, before its files are restored', async () => {
  const later = { time: '2026-01-31T15:00:00Z' };
  const fakes = thawing({
    left: [7, 0],
    activities: {
      chooseBase: async ({ target, tables }) =>
        'time' in target && target.time === later.time
          ? { ...archivedBase(tables), backup: 'archived' }
          : fakeBase(tables),
    },
  });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start(environment);
    await waitFor(handle, 'waiting-for-decision');
    expect(fakes.calls).not.toContain('requestThaw');
    await handle.executeUpdate('retarget', { args: [{ target: later }] });
    await expect.poll(async () => detailOf(await statusOf(handle))).toBe('1,204 of 1,204 objects are back');
    const waiting = await waitFor(handle, 'waiting-for-decision');
    const after = fakes.calls.slice(fakes.calls.indexOf('requestThaw'));
    expect(after.slice(0, 4)).toEqual(['requestThaw', 'requestThaw', 'restoreInstance', 'replayInstance']);
    await handle.executeUpdate('decide', {
      args: [{ by: 'ben', action: 'reject', plan: waiting.plan?.digest }],
    });
    await handle.result();
    await record('thaw-retargeted', handle);
  });
});

it('spends nothing in a drill', async () => {
  const fakes = thawing({ left: [0] });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await environment.client.workflow.start('pointInTimeRecovery', {
      ...{ args: [INPUT], taskQueue: CONTROL_QUEUE, memo: { [DRILL_MEMO]: 'drill/shop/1' } },
      workflowId: `drill/shop/${randomUUID()}/recovery`,
    });
    expect((await failureOf(handle.result())).message).toMatch(/in GLACIER, and a drill thaws nothing/);
    expect(fakes.calls).not.toContain('requestThaw');
  });
});

it('spends nothing in a verification, whose verdict is inconclusive', async () => {
  const candidate = {
    tier: 'physical',
    backup: '20260131-020000F',
    startedAt: '2026-01-31T01:00:00Z',
  } as const;
  const fakes = thawing({
    left: [0],
    activities: {
      chooseForVerification: async () => ({
        ...{ candidates: [{ ...candidate, newest: true }], missing: [], checks: [] },
      }),
      countProduction: async () => ({ counts: null, problem: 'away' }),
      recordVerification: async () => ({ before: null }),
    },
  });
  await withWorkers(environment, fakes.activities, async () => {
    const input = { database: 'shop', reason: 'daily', requestedBy: 'ana' };
    const handle = await start(environment, input, 'dailyVerify');
    const { verdict, reasons } = (await handle.result()) as Verification;
    expect(verdict).toBe('inconclusive');
    expect(reasons[0]).toMatch(/base is inconclusive: .* is in GLACIER, and a verification thaws nothing/);
    expect(fakes.calls).not.toContain('provisionInstance');
    expect(fakes.calls).not.toContain('requestThaw');
    await record('verified-archived', handle);
  });
});
