import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toFailure } from '../../src/activities/run.ts';
import { tooMuchDrift } from '../../src/engines/approved.ts';
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

const nobody = { people: 0, requesterMayApprove: false, approvers: [], timeLimitMs: 60_000 };
const imported = (counts: object) => ({
  ...{ tables: [{ ...comparisonOf(25).plan.changes[0], inserted: 20, updated: 2, deleted: 1, ...counts }] },
  ...{ transaction: '790', alreadyDone: false, undo: null },
});

describe('a plan that production refuses', () => {
  it('since rows came beyond it is shown again, even an equal one, as often as people approve it', async () => {
    let tries = 0;
    const fakes = fakeActivities({
      activities: {
        importTables: async () => {
          tries += 1;
          if (tries <= 2) throw toFailure(tooMuchDrift('public.queue', 0));
          return imported({ vanished: 4, drifted: 3, created: null }) as never;
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      for (let round = 0; round <= 2; round += 1) {
        await expect.poll(() => fakes.inputsOf('compareTables').length).toBe(round + 1);
        const waiting = await waitFor(handle, 'waiting-for-decision');
        expect(waiting.plan?.digest).toBe('digest-25');
        if (round > 0) expect(waiting.message).toMatch(/public\.queue[\s\S]*HINT: .*--drift <rows>/);
        await handle.executeUpdate('decide', approve(waiting));
      }
      const result = (await handle.result()) as RunbookStatus;
      expect(result.outcome).toBe('completed');
      expect(result.steps.find(({ name }) => name === 'import')?.detail).toBe(
        '23 rows in transaction 790; 3 rows beyond the plan; 4 approved rows needed nothing any more',
      );
      await record('drifted-often', handle);
    });
  });

  it('since rows come all the time ends with what to allow, where a policy approves every plan', async () => {
    const fakes = fakeActivities({
      settings: { approval: nobody },
      activities: {
        importTables: async () => {
          throw toFailure(tooMuchDrift('public.queue', 0));
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('PlanChanged');
      expect(failure.message).toMatch(/changes faster than[\s\S]*public\.queue[\s\S]*HINT: .*--drift <rows>/);
      expect(failure.message).not.toMatch(/constraint/);
      expect(fakes.calls.filter((name) => name === 'importTables')).toHaveLength(10);
    });
  });

  it('by a constraint is not tried for ever', async () => {
    const fakes = fakeActivities({
      settings: { approval: nobody },
      activities: {
        importTables: async () => {
          throw ApplicationFailure.nonRetryable('constraint no_overlap', 'PlanChanged');
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment);
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('CheckFailed');
      expect(failure.message).toMatch(/no_overlap[\s\S]*HINT: .*look at the constraint/);
      expect(fakes.calls.filter((name) => name === 'importTables')).toHaveLength(2);
      await record('refused-for-good', handle);
    });
  });
});

describe('a policy', () => {
  it('that nobody can meet keeps nobody from what asks nobody: an export, a hand-over', async () => {
    const approval = { people: 1, requesterMayApprove: false, approvers: ['ana'], timeLimitMs: 60_000 };
    const fakes = fakeActivities({ settings: { approval }, activities: { exportTables: async () => [] } });
    await withWorkers(environment, fakes.activities, async () => {
      const exported = await start(environment, { ...INPUT, export: 'csv:repository' });
      expect(((await exported.result()) as RunbookStatus).outcome).toBe('completed');
      const { tables: _, ...whole } = INPUT;
      const handedOver = await start(environment, whole);
      await expect
        .poll(async () => (await statusOf(handedOver)).steps.find(({ name }) => name === 'hand over')?.state)
        .toBe('waiting');
      await handedOver.signal('resume');
      expect(((await handedOver.result()) as RunbookStatus).outcome).toBe('completed');
      const undo = { database: 'shop', workflowId: 'pitr/shop/1', reason: 'r', requestedBy: 'ana' };
      const failure = await failureOf((await start(environment, undo, 'undoImport')).result());
      expect(failure.type).toBe('InvalidConfiguration');
    });
  });
});
