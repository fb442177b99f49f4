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

describe('decisions', () => {
  it('refuses a stale digest and imports nothing until the right one is approved', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      const stale = handle.executeUpdate('decide', { args: [{ by: 'ben', action: 'approve', plan: 'old' }] });
      await expect(stale).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/the plan has changed/) },
      });
      expect(fakes.calls).not.toContain('importTables');
      await handle.executeUpdate('decide', approve(waiting));
      await handle.result();
    });
  });

  it('refuses the requester where the policy wants another person', async () => {
    const approval = { people: 1, requesterMayApprove: false, approvers: [], timeLimitMs: 60_000 };
    await withWorkers(environment, fakeActivities({ settings: { approval } }).activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await expect(handle.executeUpdate('decide', approve(waiting, 'ana'))).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/wants another person/) },
      });
      await handle.executeUpdate('decide', approve(waiting, 'ben'));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
    });
  });

  it('waits for as many different people as the policy wants', async () => {
    const approval = { people: 2, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 };
    await withWorkers(environment, fakeActivities({ settings: { approval } }).activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', approve(waiting, 'ben'));
      await expect(handle.executeUpdate('decide', approve(waiting, 'ben'))).rejects.toThrow();
      expect((await statusOf(handle)).outcome).toBe('waiting-for-decision');
      await handle.executeUpdate('decide', approve(waiting, 'cleo'));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('two-people', handle);
    });
  });

  it('says at once that a policy cannot be met', async () => {
    const approval = { people: 1, requesterMayApprove: false, approvers: ['ana'], timeLimitMs: 60_000 };
    const fakes = fakeActivities({ settings: { approval } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('InvalidConfiguration');
      expect(failure.message).toMatch(/cannot be met[\s\S]*HINT:/);
      expect(fakes.calls).not.toContain('provisionInstance');
    });
  });

  it.each(['rejected', 'expired'] as const)(
    'ends %s with production untouched and no instance',
    async (outcome) => {
      const timeLimitMs = outcome === 'expired' ? 1_000 : 60_000;
      const approval = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs };
      const fakes = fakeActivities({ settings: { approval } });
      await withWorkers(environment, fakes.activities, async () => {
        const handle = await start(environment);
        const waiting = await waitFor(handle, 'waiting-for-decision');
        if (outcome === 'rejected') {
          await handle.executeUpdate('decide', {
            args: [{ by: 'ben', action: 'reject', plan: waiting.plan?.digest, comment: 'wrong table' }],
          });
        }
        const result = (await handle.result()) as RunbookStatus;
        expect(result.outcome).toBe(outcome);
        expect(fakes.calls).not.toContain('importTables');
        expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
        await record(outcome, handle);
      });
    },
  );

  it('shows a new plan and asks again when production moved beyond the approved one', async () => {
    let round = 0;
    const fakes = fakeActivities({
      activities: {
        compareTables: async () => comparisonOf(round === 0 ? 25 : 24),
        importTables: async () => {
          round += 1;
          if (round === 1) throw ApplicationFailure.nonRetryable('one parent is gone', 'PlanChanged');
          return { tables: [], transaction: '790', alreadyDone: false, undo: null };
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const first = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', approve(first));
      let second = await waitFor(handle, 'waiting-for-decision');
      while (second.plan?.digest === 'digest-25') second = await waitFor(handle, 'waiting-for-decision');
      expect(second.plan?.digest).toBe('digest-24');
      await expect(handle.executeUpdate('decide', approve(first))).rejects.toThrow();
      await handle.executeUpdate('decide', approve(second));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('plan-changed', handle);
    });
  });

  it('asks anew for a plan that production refused, even an equal one, and not for ever', async () => {
    let imports = 0;
    const fakes = fakeActivities({
      activities: {
        importTables: async () => {
          imports += 1;
          throw ApplicationFailure.nonRetryable('constraint no_overlap', 'PlanChanged');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      let again = await waitFor(handle, 'waiting-for-decision');
      while (again.message === null) again = await waitFor(handle, 'waiting-for-decision');
      expect(again.message).toMatch(/no_overlap/);
      expect(imports).toBe(1);
      await handle.executeUpdate('decide', approve(again));
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('CheckFailed');
      expect(failure.message).toMatch(/no_overlap[\s\S]*HINT: nothing was changed/);
      expect(imports).toBe(2);
      expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
    });
  });

  it('lets a policy of zero people approve, in the record', async () => {
    const approval = { people: 0, requesterMayApprove: false, approvers: [], timeLimitMs: 60_000 };
    await withWorkers(environment, fakeActivities({ settings: { approval } }).activities, async () => {
      const handle = await start(environment);
      const result = (await handle.result()) as RunbookStatus;
      expect(result.decisions[0]).toMatchObject({ by: 'policy', action: 'approve' });
      await record('approved-by-policy', handle);
    });
  });
});
