import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { siteQueue } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeActivities } from './fakes.ts';
import { approve, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const full = () => ApplicationFailure.nonRetryable('the disk is full', 'NotEnoughSpace');
const RESULT = { tables: [], transaction: '790', alreadyDone: false, undo: null };

describe('a parked runbook', () => {
  it('has tried what may pass by itself, and keeps its approval when it goes on', async () => {
    let busy = true;
    const fakes = fakeActivities({
      activities: {
        importTables: async () => {
          if (!busy) return RESULT;
          throw ApplicationFailure.create({
            ...{ type: 'LockNotAvailable', message: 'a lock is held', nextRetryDelay: '1ms' },
          });
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      const parked = await waitFor(handle, 'parked');
      expect(parked.message).toMatch(/a lock is held/);
      expect(fakes.calls.filter((name) => name === 'importTables')).toHaveLength(8);
      busy = false;
      await handle.signal('resume');
      const result = (await handle.result()) as RunbookStatus;
      expect(result).toMatchObject({ outcome: 'completed', decisions: [{ by: 'ben' }] });
      expect(fakes.calls.filter((name) => name === 'compareTables')).toHaveLength(1);
      await record('import-parked', handle);
    });
  });

  it('does not count the time that it was parked as recovery', async () => {
    let room = false;
    const fakes = fakeActivities({
      activities: {
        restoreInstance: async () => {
          if (!room) throw full();
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'parked');
      room = true;
      await handle.signal('resume');
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      const { steps } = (await handle.result()) as RunbookStatus;
      const restore = steps.find(({ name }) => name === 'restore');
      expect(restore?.parkedSeconds).toBeGreaterThan(0);
      // Everything but what was parked, to the millisecond.
      const taken = steps
        .filter(({ name }) => name !== 'decide' && name !== 'remove instance')
        .map((step) => Date.parse(step.finishedAt as string) - Date.parse(step.startedAt as string));
      const removal = fakes.evidence()?.status.steps.find(({ name }) => name === 'remove instance');
      const removed = Date.parse(removal?.finishedAt as string) - Date.parse(removal?.startedAt as string);
      const all = (taken.reduce((sum, span) => sum + span, 0) + removed) / 1_000;
      expect(fakes.evidence()?.recoverySeconds).toBeCloseTo(all - (restore?.parkedSeconds as number), 3);
    });
  });

  it('for want of a worker goes on by itself when there is one', async () => {
    const fakes = fakeActivities({ settings: { noWorkerAfterMs: 1_000 } });
    const withoutHost = [siteQueue('local')];
    const handle = await withWorkers(
      environment,
      fakes.activities,
      async () => {
        const parked = await start(environment);
        expect((await waitFor(parked, 'parked')).message).toMatch(/no worker answers.*holdfast-host-local/);
        return parked;
      },
      withoutHost,
    );
    await withWorkers(environment, fakes.activities, async () => {
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('parked-without-worker', handle);
    });
  });

  it('that is cancelled removes its instance, and nothing reads as if it still waited', async () => {
    const fakes = fakeActivities({
      activities: {
        exportTables: async () => {
          throw full();
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...INPUT, export: 'csv:repository' });
      await waitFor(handle, 'parked');
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      const status = await statusOf(handle);
      expect(status).toMatchObject({ outcome: 'cancelled', instance: null, message: null });
      expect(status.steps.find(({ name }) => name === 'export')).toMatchObject({
        ...{ state: 'failed', detail: 'cancelled' },
      });
      expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      await record('export-parked-cancelled', handle);
    });
  });
});
