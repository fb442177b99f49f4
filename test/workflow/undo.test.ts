import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toFailure } from '../../src/activities/run.ts';
import { HoldfastError } from '../../src/model/failure.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeActivities, undoComparisonOf } from './fakes.ts';
import { approve, failureOf, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const UNDO = { database: 'shop', workflowId: 'pitr/shop/1', reason: 'wrong rows', requestedBy: 'ana' };
const startUndo = (input: object = UNDO) => start(environment, input, 'undoImport');

describe('undoImport', () => {
  it('stops with the plan, takes back what was approved, looks again and leaves evidence', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      const waiting = await waitFor(handle, 'waiting-for-decision');
      expect(waiting.waitingFor).toBe('undo');
      expect(waiting.plan).toMatchObject({ conflict: 'keep-changed', backup: null, target: null });
      expect(waiting.plan?.rules.map(({ conflict }) => conflict)).toEqual([
        'keep-changed',
        'overwrite-changed',
      ]);
      expect(fakes.calls).not.toContain('undoImport');
      await handle.executeUpdate('decide', approve(waiting));
      const result = (await handle.result()) as RunbookStatus;
      expect(result.outcome).toBe('completed');
      expect(result.steps.map(({ name, state }) => `${name} ${state}`)).toEqual([
        ...['read undo done', 'compare done', 'decide done', 'undo done', 'verify done'],
      ]);
      expect(fakes.inputsOf('undoImport')).toMatchObject([
        { import: UNDO.workflowId, workflowId: handle.workflowId, conflict: 'keep-changed' },
      ]);
      expect(fakes.calls).toEqual([
        ...['describeChange', 'readUndo', 'planUndo', 'undoImport', 'verifyUndo', 'writeEvidence'],
      ]);
      expect(fakes.evidence()).toMatchObject({
        imported: { transaction: '812' },
        chosen: { conflict: 'keep-changed', drift: 0 },
        checks: [{ verdict: 'pass' }],
      });
      await record('undone', handle);
    });
  });

  it('overwrites what others have changed only where the decision says so', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      const waiting = await waitFor(handle, 'waiting-for-decision');
      for (const choice of [{ conflict: 'replace' as const }, { drift: 1 }]) {
        await expect(handle.executeUpdate('decide', approve(waiting, 'ben', choice))).rejects.toMatchObject({
          cause: { type: 'DecisionRefused', message: expect.stringMatching(/no rule replace|drift has no/) },
        });
      }
      await handle.executeUpdate('decide', approve(waiting, 'ben', { conflict: 'overwrite-changed' }));
      await handle.result();
      expect(fakes.inputsOf('undoImport')).toMatchObject([{ conflict: 'overwrite-changed' }]);
      await record('undo-overwritten', handle);
    });
  });

  it('changes nothing when it is rejected', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await handle.executeUpdate('decide', {
        args: [{ by: 'ben', action: 'reject', plan: waiting.plan?.digest }],
      });
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('rejected');
      expect(fakes.calls).not.toContain('undoImport');
      await record('undo-rejected', handle);
    });
  });

  it('changes nothing when nobody decides in time', async () => {
    const approval = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 1_000 };
    const fakes = fakeActivities({ settings: { approval } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('expired');
      expect(fakes.calls).not.toContain('undoImport');
      expect(fakes.evidence()?.status.outcome).toBe('expired');
      await record('undo-expired', handle);
    });
  });

  it('changes nothing when it is cancelled, and lets the next change begin', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      await waitFor(handle, 'waiting-for-decision');
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      expect((await statusOf(handle)).outcome).toBe('cancelled');
      expect(fakes.calls).not.toContain('undoImport');
      expect(fakes.evidence()?.status.outcome).toBe('cancelled');
      await record('undo-cancelled', handle);
      const next = await startUndo();
      await next.executeUpdate('decide', approve(await waitFor(next, 'waiting-for-decision')));
      expect(((await next.result()) as RunbookStatus).outcome).toBe('completed');
    });
  });

  it('refuses before anybody is asked what cannot be taken back', async () => {
    const fakes = fakeActivities({
      activities: {
        readUndo: async () => {
          throw ApplicationFailure.create({
            type: 'InvalidInput',
            message: 'the undo data of pitr/shop/1 expired',
            nonRetryable: true,
            details: ['recover to the moment before the import instead'],
          });
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('InvalidInput');
      expect(failure.message).toMatch(/expired\nHINT: recover/);
      expect(fakes.calls).not.toContain('planUndo');
      await record('undo-refused', handle);
    });
    for (const [input, why] of [
      [{ ...UNDO, workflowId: undefined }, /workflowId is missing/],
      [{ ...UNDO, target: { latest: true } }, /unknown field target/],
    ] as const) {
      await withWorkers(environment, fakes.activities, async () => {
        expect((await failureOf((await startUndo(input)).result())).message).toMatch(why);
      });
    }
  });

  it('parks where the configured user lacks a right for every rule, and plans when it has it', async () => {
    let granted = false;
    const fakes = fakeActivities({
      activities: {
        planUndo: async ({ conflict }) => {
          if (granted) return undoComparisonOf(2, conflict);
          throw toFailure(
            new HoldfastError('PermissionDenied', 'the configured user may not delete in public.orders', {
              hint: 'grant DELETE on public.orders',
            }),
          );
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      const parked = await waitFor(handle, 'parked');
      expect(parked).toMatchObject({ plan: null, message: expect.stringMatching(/grant DELETE/) });
      granted = true;
      await handle.signal('resume');
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('undo-parked-planning', handle);
    });
  });

  it('ends at once where no rule is possible and no grant helps', async () => {
    const fakes = fakeActivities({
      activities: {
        planUndo: async () => {
          throw toFailure(new HoldfastError('NotSupported', 'public.orders has no partition any more'));
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      expect(await failureOf(handle.result())).toMatchObject({
        type: 'NotSupported',
        message: expect.stringContaining('has no partition any more'),
      });
      expect(fakes.evidence()?.status).toMatchObject({ outcome: 'failed', plan: null, decisions: [] });
      expect(fakes.calls).not.toContain('undoImport');
      await record('undo-impossible', handle);
    });
  });

  it('is one change among others: while a recovery may change the database it does not begin', async () => {
    const fakes = fakeActivities();
    await withWorkers(environment, fakes.activities, async () => {
      const recovery = await start(environment);
      await waitFor(recovery, 'waiting-for-decision');
      expect((await failureOf((await startUndo()).result())).type).toBe('DatabaseBusy');
      await recovery.cancel();
      await expect(recovery.result()).rejects.toThrow();
    });
  });

  it('keeps an approval while production cannot be locked: it parks, though it has no instance', async () => {
    let busy = true;
    const fakes = fakeActivities({
      activities: {
        undoImport: async () => {
          if (busy) throw ApplicationFailure.nonRetryable('a lock is held', 'LockNotAvailable');
          return { tables: [], transaction: '812', alreadyDone: false, undo: null };
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      await waitFor(handle, 'parked');
      busy = false;
      await handle.signal('resume');
      const result = (await handle.result()) as RunbookStatus;
      expect(result).toMatchObject({ outcome: 'completed', decisions: [{ by: 'ben' }] });
      await record('undo-parked', handle);
    });
  });

  it('shows a new plan when rows have changed since it was approved', async () => {
    let tries = 0;
    const fakes = fakeActivities({
      activities: {
        planUndo: async ({ conflict }) => undoComparisonOf(2 + tries, conflict),
        undoImport: async () => {
          tries += 1;
          if (tries === 1) throw ApplicationFailure.nonRetryable('1 row more has changed', 'PlanChanged');
          return { tables: [], transaction: '812', alreadyDone: false, undo: null };
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      await expect.poll(async () => (await statusOf(handle)).plan?.digest).toBe('digest-keep-changed-3');
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('undo-plan-changed', handle);
    });
  });

  it('has no target that could be changed', async () => {
    await withWorkers(environment, fakeActivities().activities, async () => {
      const handle = await startUndo();
      const waiting = await waitFor(handle, 'waiting-for-decision');
      await expect(
        handle.executeUpdate('retarget', { args: [{ target: { latest: true } }] }),
      ).rejects.toMatchObject({ cause: { message: 'this runbook has no target' } });
      await handle.executeUpdate('decide', approve(waiting));
      await handle.result();
    });
  });

  it('does not call completed what is not all taken back', async () => {
    const fakes = fakeActivities({
      activities: {
        verifyUndo: async () => [
          { name: 'undo of public.orders', verdict: 'fail', detail: '1 row not taken back' },
        ],
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await startUndo();
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      const failure = await failureOf(handle.result());
      expect(failure.message).toMatch(/the undo is committed, but[\s\S]*1 row not taken back/);
    });
  });
});
