import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus, StepState } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { comparisonOf, fakeActivities, fakeBase, type RunbookActivities } from './fakes.ts';
import { approve, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const LATER = { time: '2026-01-31T15:00:00Z' };
const EARLIER = { time: '2026-01-30T09:00:00Z' };
const retarget = (target: object) => ({ args: [{ target }] as [unknown] });

/** The plan tells for which target it was made. */
const compareTables: RunbookActivities['compareTables'] = async ({ target }) => {
  const found = comparisonOf(25, `digest of ${JSON.stringify(target)}`);
  return { ...found, plan: { ...found.plan, target } };
};
const chooseBase: RunbookActivities['chooseBase'] = async ({ target, tables }) => ({
  ...fakeBase(tables),
  backup: 'time' in target && target.time === EARLIER.time ? 'older' : 'base',
});

async function planFor(handle: WorkflowHandle, target: object): Promise<RunbookStatus> {
  await expect.poll(async () => (await statusOf(handle)).plan?.target).toEqual(target);
  return waitFor(handle, 'waiting-for-decision');
}

const stateOf = async (handle: WorkflowHandle, step: string): Promise<StepState | undefined> =>
  (await statusOf(handle)).steps.find(({ name }) => name === step)?.state;

describe('another target at the decision', () => {
  it('later: the replay goes on where it is, and the plan is new; what was said of the old one is void', async () => {
    const approval = { people: 2, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 };
    const fakes = fakeActivities({ settings: { approval }, activities: { compareTables, chooseBase } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const first = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', approve(first, 'ben'));
      expect(await handle.executeUpdate('retarget', retarget(LATER))).toEqual({
        target: LATER,
        backup: 'base',
      });
      const second = await planFor(handle, LATER);
      expect(second.instance?.url).toMatch(/^postgresql:/);
      expect(second.steps.find(({ name }) => name === 'choose base')?.detail).toMatch(/15:00/);
      await expect(handle.executeUpdate('decide', approve(first, 'cleo'))).rejects.toThrow();
      await handle.executeUpdate('decide', approve(second, 'ben'));
      expect((await statusOf(handle)).outcome).toBe('waiting-for-decision');
      await handle.executeUpdate('decide', approve(second, 'cleo'));
      const result = (await handle.result()) as RunbookStatus;
      expect(result.steps.map(({ state }) => state)).toEqual(result.steps.map(() => 'done'));
      expect(fakes.calls.filter((name) => name === 'restoreInstance')).toHaveLength(1);
      expect(fakes.inputsOf('chooseBase').map(({ preferred }) => preferred)).toEqual([null, 'base']);
      expect(fakes.inputsOf('replayInstance').map(({ target }) => target)).toEqual([INPUT.target, LATER]);
      expect(fakes.inputsOf('importTables')).toMatchObject([{ target: LATER }]);
      // Each wait for people needs its time before the reaper may come.
      const kept = fakes.inputsOf('compareTables').map(({ expiresAt }) => Date.parse(expiresAt));
      expect(kept[1]).toBeGreaterThan(kept[0] as number);
      await record('retarget-forward', handle);
    });
  });

  it('earlier, from another base: its files are restored', async () => {
    const fakes = fakeActivities({ activities: { compareTables, chooseBase } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget(EARLIER));
      await handle.executeUpdate('decide', approve(await planFor(handle, EARLIER)));
      await handle.result();
      expect(fakes.inputsOf('restoreInstance').map(({ base }) => base.backup)).toEqual(['base', 'older']);
      await record('retarget-back', handle);
    });
  });

  it('earlier, from the same base: the files are restored again, since a replay cannot go back', async () => {
    let replays = 0;
    const fakes = fakeActivities({
      activities: {
        compareTables,
        replayInstance: async () => {
          replays += 1;
          if (replays === 2) throw ApplicationFailure.nonRetryable('replayed already', 'InstanceLost');
          return fakes.replayed;
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('retarget', retarget(EARLIER));
      await handle.executeUpdate('decide', approve(await planFor(handle, EARLIER)));
      expect(((await handle.result()) as RunbookStatus).message).toBeNull();
      expect(fakes.calls.filter((name) => name === 'restoreInstance')).toHaveLength(2);
      expect(replays).toBe(3);
      await record('retarget-restored-again', handle);
    });
  });

  it('that cannot be reached is refused with the reason, and the plan stands', async () => {
    const fakes = fakeActivities({
      activities: {
        chooseBase: async ({ target, tables }) => {
          if (!('latest' in target)) return fakeBase(tables);
          throw ApplicationFailure.create({
            type: 'LogGap',
            message: '3 logs missing',
            nonRetryable: true,
            details: ['choose an earlier time'],
          });
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await expect(handle.executeUpdate('retarget', retarget({ latest: true }))).rejects.toMatchObject({
        cause: { type: 'LogGap', message: '3 logs missing\nHINT: choose an earlier time' },
      });
      for (const [given, why] of [
        [{ time: 'noon' }, /offset/],
        [{ time: LATER.time, lsn: '0/1' }, /exactly one of/],
      ] as const) {
        await expect(handle.executeUpdate('retarget', retarget(given))).rejects.toMatchObject({
          cause: { type: 'DecisionRefused', message: expect.stringMatching(why) },
        });
      }
      expect(await statusOf(handle)).toMatchObject({
        plan: waiting.plan,
        outcome: 'waiting-for-decision',
        steps: waiting.steps,
      });
      await handle.executeUpdate('decide', approve(waiting));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      expect(fakes.calls.filter((name) => name === 'replayInstance')).toHaveLength(1);
      await record('retarget-failed', handle);
    });
  });

  it('lets nobody decide while its base is being chosen, and the time limit waits for it', async () => {
    const chosen = Promise.withResolvers<void>();
    const approval = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 1_500 };
    const fakes = fakeActivities({
      settings: { approval },
      activities: {
        compareTables,
        chooseBase: async ({ target, tables }) => {
          if ('time' in target && target.time === LATER.time) await chosen.promise;
          return fakeBase(tables);
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      const changing = handle.startUpdate('retarget', { ...retarget(LATER), waitForStage: 'ACCEPTED' });
      await changing;
      await expect(handle.executeUpdate('decide', approve(waiting))).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/target is being changed to time 2026-01-31T15/) },
      });
      await handle.signal('approve', { by: 'ben', plan: waiting.plan?.digest });
      await expect(handle.executeUpdate('retarget', retarget(EARLIER))).rejects.toThrow();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      expect((await statusOf(handle)).outcome).toBe('waiting-for-decision');
      chosen.resolve();
      const second = await planFor(handle, LATER);
      expect(second.decisions.at(-1)?.refused).toMatch(/target is being changed/);
      await handle.executeUpdate('decide', approve(second));
      await handle.result();
      await record('retarget-beyond-limit', handle);
    });
  });
});

describe('a cancelled runbook', () => {
  it('does not take up a target whose base was still being chosen', async () => {
    const choosing = Promise.withResolvers<void>();
    const fakes = fakeActivities({
      activities: {
        chooseBase: async ({ target, tables }) => {
          if ('latest' in target) {
            choosing.resolve();
            await new Promise((resolve) => setTimeout(resolve, 1_000));
          }
          return fakeBase(tables);
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      const changing = handle.executeUpdate('retarget', retarget({ latest: true }));
      const answer = changing.catch((reason: unknown) => reason);
      await choosing.promise;
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      expect(await answer).toBeInstanceOf(Error);
      expect((await statusOf(handle)).outcome).toBe('cancelled');
      expect(fakes.calls.filter((name) => name === 'replayInstance')).toHaveLength(1);
      expect(fakes.calls).toContain('removeInstance');
      await record('retarget-cancelled-choosing', handle);
    });
  });
});

describe('another target at the hand-over', () => {
  const { tables: _, ...WHOLE } = INPUT;

  it('is taken up on the same instance, which is handed over again', async () => {
    const fakes = fakeActivities({ activities: { chooseBase } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, WHOLE);
      await expect.poll(() => stateOf(handle, 'hand over')).toBe('waiting');
      await handle.executeUpdate('retarget', retarget(LATER));
      await expect.poll(() => fakes.inputsOf('checkInstance').length).toBe(2);
      await expect.poll(() => stateOf(handle, 'hand over')).toBe('waiting');
      expect((await statusOf(handle)).instance?.url).toMatch(/^postgresql:/);
      await handle.signal('resume');
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('retarget-hand-over', handle);
    });
  });

  it('is refused after an import: what was asked for is done', async () => {
    const fakes = fakeActivities({ activities: { chooseBase } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...INPUT, keepInstance: '5m' });
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      await expect.poll(() => stateOf(handle, 'hand over')).toBe('waiting');
      await expect(handle.executeUpdate('retarget', retarget(LATER))).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/not waiting for a decision/) },
      });
      await handle.signal('resume');
      await handle.result();
    });
  });
});
