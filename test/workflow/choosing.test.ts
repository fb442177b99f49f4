import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { comparisonOf, fakeActivities } from './fakes.ts';
import { approve, failureOf, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const NO_KEY = 'public.orders has no primary key';
const withoutKey = () =>
  comparisonOf(25, 'digest-25', { 'insert-missing': NO_KEY, 'restore-changed': NO_KEY });
const nobody = { people: 0, requesterMayApprove: false, approvers: [], timeLimitMs: 60_000 };

describe('the rule of a decision', () => {
  it('is what is imported, with the drift that was allowed, and both are in the records and the evidence', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', approve(waiting, 'ben', { conflict: 'replace', drift: 5 }));
      const result = (await handle.result()) as RunbookStatus;
      expect(result.decisions).toMatchObject([{ by: 'ben', conflict: 'replace', drift: 5 }]);
      expect(result.steps.find(({ name }) => name === 'decide')?.detail).toMatch(/ben: replace.* 5 rows/);
      for (const step of ['importTables', 'verifyImport'] as const) {
        expect(fakes.inputsOf(step)).toMatchObject([{ conflict: 'replace', drift: 5 }]);
      }
      expect(fakes.evidence()?.chosen).toEqual({ conflict: 'replace', drift: 5 });
      await record('another-rule', handle);
    });
  });

  it('is the plan’s own where the decision names none, and then nothing beyond the plan is touched', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await handle.signal('approve', { by: 'ben', plan: waiting.plan?.digest });
      await handle.result();
      expect(fakes.inputsOf('importTables')).toMatchObject([{ conflict: 'insert-missing', drift: 0 }]);
      expect(fakes.evidence()?.status.decisions).toMatchObject([{ conflict: 'insert-missing' }]);
    });
  });

  it('has to be possible: the plan shows although the one that was asked for is not', async () => {
    const fakes = fakeActivities({ activities: { compareTables: async () => withoutKey() } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      for (const choice of [{}, { conflict: 'restore-changed' as const }]) {
        await expect(handle.executeUpdate('decide', approve(waiting, 'ben', choice))).rejects.toMatchObject({
          cause: {
            type: 'DecisionRefused',
            message: expect.stringMatching(/no primary key; possible: replace/),
          },
        });
      }
      await handle.signal('approve', { by: 'ben', plan: waiting.plan?.digest });
      expect((await statusOf(handle)).decisions.at(-1)?.refused).toMatch(/no primary key/);
      await handle.executeUpdate('decide', approve(waiting, 'ben', { conflict: 'side-by-side' }));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      expect(fakes.inputsOf('importTables')).toMatchObject([{ conflict: 'side-by-side' }]);
    });
  });

  it('has to be the same for everybody, and the smallest drift counts', async () => {
    const approval = { people: 2, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 };
    const fakes = fakeActivities({ settings: { approval } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', approve(waiting, 'ben', { conflict: 'replace', drift: 9 }));
      await expect(handle.executeUpdate('decide', approve(waiting, 'cleo'))).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/ben has approved replace, not insert-missing/) },
      });
      await handle.executeUpdate('decide', approve(waiting, 'cleo', { conflict: 'replace', drift: 2 }));
      await handle.result();
      expect(fakes.inputsOf('importTables')).toMatchObject([{ conflict: 'replace', drift: 2 }]);
    });
  });

  it('stays the one that people want when production moves on and a new plan is shown', async () => {
    let refused = false;
    const fakes = fakeActivities({
      activities: {
        compareTables: async () => comparisonOf(25, refused ? 'second' : 'first'),
        importTables: async () => {
          if (refused) return { tables: [], transaction: '790', alreadyDone: false, undo: null };
          refused = true;
          throw ApplicationFailure.nonRetryable('7 rows more have changed', 'PlanChanged');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const first = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', approve(first, 'ben', { conflict: 'replace' }));
      await expect.poll(async () => (await statusOf(handle)).plan?.digest).toBe('second');
      const second = await waitFor(handle, 'waiting-for-decision');
      expect(second.message).toMatch(/7 rows more/);
      expect(fakes.inputsOf('compareTables').map(({ conflict }) => conflict)).toEqual([
        'insert-missing',
        'replace',
      ]);
      await handle.executeUpdate('decide', approve(second, 'ben', { conflict: 'replace', drift: 100 }));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('drifted', handle);
    });
  });

  it('is not for a policy to guess: with nobody to ask, one that is not possible fails', async () => {
    const fakes = fakeActivities({
      settings: { approval: nobody },
      activities: { compareTables: async () => withoutKey() },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('DecisionRefused');
      expect(failure.message).toMatch(/nobody is asked.*no primary key[\s\S]*HINT:/);
      expect(fakes.calls).not.toContain('importTables');
      const status = fakes.evidence()?.status;
      expect(status?.plan?.digest).toBe('digest-25');
      expect(status?.steps.find(({ name }) => name === 'decide')?.state).toBe('failed');
      expect(status?.waitingFor).toBeNull();
      await record('policy-cannot', handle);
    });
  });
});
