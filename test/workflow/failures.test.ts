import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostQueue } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeActivities } from './fakes.ts';
import { approve, failureOf, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
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
