import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostQueue } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { comparisonOf, fakeActivities } from './fakes.ts';
import { approve, failureOf, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

describe('the way through', () => {
  it('stops with the plan, imports what was approved, leaves evidence and no instance', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      expect(waiting.waitingFor).toBe('import');
      expect(waiting.plan?.changes[0]?.inserts).toBe(25);
      expect(fakes.calls).not.toContain('importTables');

      await handle.executeUpdate('decide', approve(waiting));
      const result = (await handle.result()) as RunbookStatus;
      expect(result.outcome).toBe('completed');
      expect(result.instance).toBeNull();
      expect(result.evidence).toBe('evidence/shop/x.json');
      expect(result.steps.map((step) => step.state)).toEqual(result.steps.map(() => 'done'));
      expect(fakes.calls).toEqual([
        'describeRecovery',
        'chooseBase',
        'provisionInstance',
        'restoreInstance',
        'replayInstance',
        'checkInstance',
        'compareTables',
        'importTables',
        'verifyImport',
        'removeInstance',
        'writeEvidence',
      ]);
      expect(fakes.evidence()?.status.outcome).toBe('completed');
      expect(fakes.evidence()?.status.decisions[0]).toMatchObject({ by: 'ben', action: 'approve' });
      await record('approved', handle);
      await record('production-change', environment.client.workflow.getHandle('change/shop'));
    });
  });

  it('takes the signal approve as well, and shows one that does not count', async () => {
    await withWorkers(environment, fakeActivities().activities, async () => {
      const handle = await start(environment);
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await handle.signal('approve', { by: 'ben', plan: 'an-older-plan' });
      await handle.signal('approve', { nonsense: true });
      const still = await statusOf(handle);
      expect(still.outcome).toBe('waiting-for-decision');
      expect(still.decisions[0]?.refused).toMatch(/the plan has changed/);
      expect(still.decisions[1]?.refused).toMatch(/nonsense/);
      await handle.signal('approve', { by: 'ben', plan: waiting.plan?.digest });
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('approved-by-signal', handle);
    });
  });

  it('hands the instance over where no tables are named, and removes it on resume', async () => {
    const fakes = fakeActivities();
    const { tables: _, ...input } = INPUT;
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, input);
      for (;;) {
        const step = (await statusOf(handle)).steps.find(({ name }) => name === 'hand over');
        if (step?.state === 'waiting') break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect((await statusOf(handle)).instance?.url).toMatch(/^postgresql:/);
      await handle.signal('resume');
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      expect(fakes.calls).toContain('removeInstance');
      expect(fakes.calls).not.toContain('compareTables');
      await record('handed-over', handle);
    });
  });
});

describe('an instance that is kept after the import', () => {
  it('does not keep others from changing the database', async () => {
    await withWorkers(environment, fakeActivities().activities, async () => {
      const handle = await start(environment, { ...INPUT, keepInstance: '5m' });
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      await expect
        .poll(async () => (await statusOf(handle)).steps.find(({ name }) => name === 'hand over')?.state)
        .toBe('waiting');
      const holder = environment.client.workflow.getHandle('change/shop');
      await expect.poll(async () => (await holder.describe()).status.name).toBe('COMPLETED');
      await handle.signal('resume');
      await handle.result();
      await record('import-kept', handle);
    });
  });
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

describe('what goes wrong', () => {
  it.each([
    [{ ...INPUT, tabels: ['x'] }, /unknown field tabels/],
    [{ ...INPUT, reason: undefined }, /field reason is missing/],
    [{ ...INPUT, requestedBy: undefined }, /field requestedBy is missing/],
    [{ ...INPUT, target: { time: '2026-01-31 14:05' } }, /offset/],
    [{ ...INPUT, target: { time: '2026-01-31T14:05:00Z', lsn: '0/1' } }, /exactly one of/],
    [{ ...INPUT, export: 'dump:repository', conflict: 'replace' }, /a dump has whole tables/],
    [{ ...INPUT, export: 'csv:repository', tables: undefined }, /an export needs tables/],
    [{ ...INPUT, export: 'csv:home' }, /csv:repository/],
  ])('refuses %j by name before anything is made', async (input, message) => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const failure = await failureOf((await start(environment, input)).result());
      expect(failure.message).toMatch(message);
      expect(failure.message).toMatch(/HINT:/);
      expect(fakes.calls.filter((name) => name !== 'writeEvidence')).toEqual([]);
    });
  });

  it('a failing step removes the instance and leaves evidence of the failure', async () => {
    const fakes = fakeActivities({
      activities: {
        replayInstance: async () => {
          throw ApplicationFailure.create({
            type: 'TargetNotReached',
            message: 'recovery ended before the target',
            nonRetryable: true,
            details: ['use latest'],
          });
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('TargetNotReached');
      expect(failure.message).toBe('recovery ended before the target\nHINT: use latest');
      expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      expect(fakes.evidence()?.status.outcome).toBe('failed');
      await record('failed', handle);
    });
  });

  it('what was imported is in the evidence, also when the look afterwards fails', async () => {
    const fakes = fakeActivities({
      activities: {
        verifyImport: async () => {
          throw ApplicationFailure.nonRetryable('5 rows are gone again', 'CheckFailed');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect((await failureOf(handle.result())).type).toBe('CheckFailed');
      expect(fakes.evidence()?.status.outcome).toBe('failed');
      expect(fakes.evidence()?.imported).toMatchObject({ transaction: '790' });
      expect(fakes.evidence()?.checks).toMatchObject([{ name: 'amcheck' }]);
    });
  });

  it('removes the instance even where its provisioning was cut off', async () => {
    const fakes = fakeActivities({
      activities: {
        provisionInstance: async () => {
          throw ApplicationFailure.nonRetryable('disk too small', 'NotEnoughSpace');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const failure = await failureOf((await start(environment)).result());
      expect(failure.type).toBe('NotEnoughSpace');
      expect(fakes.calls).not.toContain('restoreInstance');
      expect(fakes.calls).toContain('removeInstance');
    });
  });

  it('parks on what an operator can mend, and goes on after resume', async () => {
    let full = true;
    const fakes = fakeActivities({
      activities: {
        restoreInstance: async () => {
          if (full) throw ApplicationFailure.nonRetryable('the disk is full', 'NotEnoughSpace');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const parked = await waitFor(handle, 'parked');
      expect(parked.message).toMatch(/the disk is full/);
      full = false;
      await handle.signal('resume');
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('parked', handle);
    });
  });

  it('gives up a parked runbook after its limit, and cleans up', async () => {
    const fakes = fakeActivities({
      settings: { parkLimitMs: 1_000 },
      activities: {
        restoreInstance: async () => {
          throw ApplicationFailure.nonRetryable('the disk is full', 'NotEnoughSpace');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('NotEnoughSpace');
      expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      await record('park-limit', handle);
    });
  });

  it('names the queue that nobody serves', async () => {
    const fakes = fakeActivities({ settings: { noWorkerAfterMs: 1_000 } });
    await withWorkers(
      environment,
      fakes.activities,
      async () => {
        const failure = await failureOf((await start(environment)).result());
        expect(failure.type).toBe('NoWorker');
        expect(failure.message).toMatch(/holdfast-site-local[\s\S]*HINT:/);
      },
      [hostQueue('local')],
    );
  });

  it('does not call a recovery completed whose rows are not there afterwards', async () => {
    const fakes = fakeActivities({
      activities: {
        verifyImport: async () => [{ name: 'rows present', verdict: 'fail', detail: '1 of 25 is not there' }],
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('CheckFailed');
      expect(failure.message).toMatch(/is committed, but[\s\S]*1 of 25 is not there[\s\S]*HINT:/);
      expect(fakes.evidence()?.imported).not.toBeNull();
      expect(fakes.evidence()?.checks).toContainEqual(expect.objectContaining({ verdict: 'fail' }));
      await record('not-as-approved', handle);
    });
  });

  it('a cancelled runbook removes its instance before it ends', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await waitFor(handle, 'waiting-for-decision');
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      expect((await handle.describe()).status.name).toBe('CANCELLED');
      const status = await statusOf(handle);
      expect(status.outcome).toBe('cancelled');
      // Nothing may read as if it still waited.
      expect(status.steps.map(({ state }) => state)).not.toContain('waiting');
      expect(fakes.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      await record('cancelled', handle);
    });
  });

  it('cancelled while it provisions: what is provisioned after all is removed after that', async () => {
    const order: string[] = [];
    const begun = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    const fakes = fakeActivities({
      activities: {
        provisionInstance: async ({ id, site }) => {
          begun.resolve();
          await cancelled.promise;
          // As one that cannot stop any more.
          await new Promise((resolve) => setTimeout(resolve, 1_000));
          order.push('provisioned');
          return { id, site, host: 'local', expiresAt: '2026-02-01T00:00:00Z' };
        },
        removeInstance: async () => {
          order.push('removed');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await begun.promise;
      await handle.cancel();
      cancelled.resolve();
      await expect(handle.result()).rejects.toThrow();
      expect(order).toEqual(['provisioned', 'removed']);
      await record('cancelled-while-provisioning', handle);
    });
  });

  it('lets the next runbook change the database while the instance is still being removed', async () => {
    const gone = Promise.withResolvers<void>();
    const fakes = fakeActivities({ activities: { removeInstance: () => gone.promise } });
    await withWorkers(environment, fakes.activities, async () => {
      const first = await start(environment);
      await first.executeUpdate('decide', approve(await waitFor(first, 'waiting-for-decision')));
      await expect.poll(() => fakes.calls.includes('removeInstance')).toBe(true);
      const second = await start(environment);
      const waiting = await waitFor(second, 'waiting-for-decision');
      gone.resolve();
      await second.executeUpdate('decide', approve(waiting));
      expect(((await second.result()) as RunbookStatus).outcome).toBe('completed');
      expect(((await first.result()) as RunbookStatus).outcome).toBe('completed');
    });
  });

  it('goes on past a failed clean-up and says so', async () => {
    const fakes = fakeActivities({
      activities: {
        removeInstance: async () => {
          throw ApplicationFailure.nonRetryable('the host is gone', 'InstanceLost');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      const result = (await handle.result()) as RunbookStatus;
      expect(result.outcome).toBe('completed');
      expect(result.message).toMatch(/clean-up failed: the host is gone/);
      await record('clean-up-failed', handle);
    });
  });

  it('lets one runbook at a time change a database: the second names the first, also after a terminate', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const first = await start(environment);
      await waitFor(first, 'waiting-for-decision');
      const late = await start(environment);
      const second = await failureOf(late.result());
      expect(second.type).toBe('DatabaseBusy');
      expect(second.message).toMatch(/pitr\/shop\/first[\s\S]*HINT:/);
      await record('database-busy', late);
      await first.terminate('a person terminated it');
      let third = await start(environment);
      for (let tries = 0; tries < 20; tries += 1) {
        const status = await statusOf(third);
        if (status.outcome !== 'failed') break;
        third = await start(environment);
      }
      const waiting = await waitFor(third, 'waiting-for-decision');
      await third.executeUpdate('decide', approve(waiting));
      await third.result();
    });
  });
});
