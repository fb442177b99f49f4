import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeActivities, fakeBase } from './fakes.ts';
import { approve, INPUT, record, start, statusOf, waitFor, withWorkers } from './run.ts';

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

  it('says beside the base what only the replay can tell', async () => {
    const fakes = fakeActivities({
      activities: {
        chooseBase: async () => ({
          ...fakeBase(['public.orders']),
          beforeReplay: 'where transaction 785 lies is known only after the replay',
        }),
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...INPUT, target: { xid: '785' } });
      const { steps, plan } = await waitFor(handle, 'waiting-for-decision');
      expect(steps.find(({ name }) => name === 'choose base')?.detail).toMatch(
        /every one present; where transaction 785 lies is known only after the replay$/,
      );
      await handle.executeUpdate('decide', { args: [{ by: 'ben', action: 'reject', plan: plan?.digest }] });
      await handle.result();
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
