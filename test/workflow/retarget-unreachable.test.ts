import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { comparisonOf, fakeActivities, fakeBase, type RunbookActivities } from './fakes.ts';
import { approve, failureOf, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const EARLIER = { time: '2026-01-30T09:00:00Z' };
const { tables: _, ...WHOLE } = INPUT;
const retarget = { args: [{ target: EARLIER }] as [unknown] };
const isEarlier = (target: object) => JSON.stringify(target) === JSON.stringify(EARLIER);
const refuse = (type: string, message: string) =>
  ApplicationFailure.create({ type, message, nonRetryable: true, details: ['choose a later one'] });

const chooseBase: RunbookActivities['chooseBase'] = async ({ target, tables }) => ({
  ...fakeBase(tables),
  backup: isEarlier(target) ? 'older' : 'base',
});
const compareTables: RunbookActivities['compareTables'] = async ({ target }) => {
  const found = comparisonOf(25, `digest of ${JSON.stringify(target)}`);
  return { ...found, plan: { ...found.plan, target } };
};

/** Waits until the runbook says that it has come back. */
async function backAgain(handle: WorkflowHandle): Promise<RunbookStatus> {
  await expect
    .poll(async () => (await statusOf(handle)).message, { timeout: 10_000 })
    .toMatch(/^time 2026-01-30T09:00:00Z cannot be reached, so the target is time .*14:05:00Z again: /);
  return waitFor(handle, 'waiting-for-decision');
}

describe('another target that turns out to be out of reach', () => {
  it('since its base is damaged: the first is restored again, with a new plan for it', async () => {
    const fakes = fakeActivities({
      activities: {
        compareTables,
        chooseBase,
        restoreInstance: async ({ base }) => {
          if (base.backup === 'older') throw refuse('ChecksumMismatch', 'a file of older is damaged');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const first = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget);
      const back = await backAgain(handle);
      expect(back.message).toMatch(/a file of older is damaged\nHINT: choose a later one$/);
      expect(back.plan).toEqual(first.plan);
      expect(back.instance?.url).toMatch(/^postgresql:/);
      expect(back.steps.find(({ name }) => name === 'choose base')?.detail).toMatch(/^base; .*14:05/);
      await handle.executeUpdate('decide', approve(back));
      expect((await handle.result()) as RunbookStatus).toMatchObject({ outcome: 'completed', message: null });
      expect(fakes.inputsOf('restoreInstance').map(({ base }) => base.backup)).toEqual([
        ...['base', 'older', 'base'],
      ]);
      expect(fakes.inputsOf('importTables')).toMatchObject([{ target: INPUT.target }]);
      await record('retarget-base-damaged', handle);
    });
  });

  it('by the replay: the files, replayed already, are restored again', async () => {
    let replays = 0;
    const fakes = fakeActivities({
      activities: {
        compareTables,
        replayInstance: async ({ target }) => {
          replays += 1;
          if (isEarlier(target)) throw refuse('TargetNotReached', 'the logs ended');
          if (replays === 3) throw refuse('InstanceLost', 'replayed already');
          return fakes.replayed;
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget);
      const back = await backAgain(handle);
      // As any plan, this one can be exchanged for another target.
      await handle.executeUpdate('retarget', { args: [{ target: { latest: true } }] });
      await expect.poll(async () => (await statusOf(handle)).plan?.target).toEqual({ latest: true });
      const latest = await waitFor(handle, 'waiting-for-decision');
      expect(latest.message).toBeNull();
      await expect(handle.executeUpdate('decide', approve(back))).rejects.toThrow();
      await handle.executeUpdate('decide', approve(latest));
      await handle.result();
      expect(fakes.calls.filter((name) => name === 'restoreInstance')).toHaveLength(2);
      await record('retarget-not-reached', handle);
    });
  });

  it('since the table was not there yet: said, and the plan of the first comes again', async () => {
    const fakes = fakeActivities({
      activities: {
        compareTables: async (input) => {
          if (isEarlier(input.target)) throw refuse('UnknownTable', 'public.orders is not in the copy');
          return compareTables(input);
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget);
      await handle.executeUpdate('decide', approve(await backAgain(handle)));
      await handle.result();
      expect(fakes.inputsOf('replayInstance').map(({ target }) => target)).toEqual([
        ...[INPUT.target, EARLIER, INPUT.target],
      ]);
    });
  });

  it('at the hand-over: the first is handed over again', async () => {
    const fakes = fakeActivities({
      activities: {
        chooseBase,
        checkInstance: async ({ base }) => {
          if (base.backup === 'older') throw refuse('CheckFailed', 'the restored copy is damaged');
          return [];
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, WHOLE);
      const handedOver = async () =>
        (await statusOf(handle)).steps.find(({ name }) => name === 'hand over')?.state;
      await expect.poll(handedOver).toBe('waiting');
      await handle.executeUpdate('retarget', retarget);
      await expect.poll(async () => (await statusOf(handle)).message).toMatch(/copy is damaged/);
      await expect.poll(handedOver).toBe('waiting');
      await handle.signal('resume');
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('retarget-hand-over-again', handle);
    });
  });
});

describe('what does not go back to the target before', () => {
  it('is what people can mend: it parks on the way to the new one', async () => {
    let full = true;
    const fakes = fakeActivities({
      activities: {
        compareTables,
        chooseBase,
        restoreInstance: async ({ base }) => {
          if (full && base.backup === 'older') throw refuse('NotEnoughSpace', 'the disk is full');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget);
      await waitFor(handle, 'parked');
      full = false;
      await handle.signal('resume');
      expect((await waitFor(handle, 'waiting-for-decision')).plan?.target).toEqual(EARLIER);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
    });
  });

  it('is a failure of the import: the plan of the new one was shown and approved', async () => {
    const fakes = fakeActivities({
      activities: {
        compareTables,
        importTables: async () => {
          throw refuse('CheckFailed', 'a value does not fit');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget);
      await expect.poll(async () => (await statusOf(handle)).plan?.target).toEqual(EARLIER);
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect((await failureOf(handle.result())).message).toMatch(/^a value does not fit/);
      expect(fakes.calls.filter((name) => name === 'importTables')).toHaveLength(1);
    });
  });

  it('is a cancellation: nothing is restored again', async () => {
    const begun = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    const fakes = fakeActivities({
      activities: {
        chooseBase,
        restoreInstance: async ({ base }) => {
          if (base.backup !== 'older') return;
          begun.resolve();
          await cancelled.promise;
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget);
      await begun.promise;
      await handle.cancel();
      cancelled.resolve();
      await expect(handle.result()).rejects.toThrow();
      expect(await statusOf(handle)).toMatchObject({ outcome: 'cancelled', instance: null });
      expect(fakes.calls.filter((name) => name === 'restoreInstance')).toHaveLength(2);
      expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      await record('retarget-cancelled', handle);
    });
  });
});
