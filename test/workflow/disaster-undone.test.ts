import { setTimeout as sleep } from 'node:timers/promises';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { changeWorkflowId } from '../../src/model/workflow-id.ts';
import {
  approveNext,
  asked,
  type DisasterActivities,
  disasterFakes,
  endless,
  failing,
  OLD,
  SERVER,
  startDisaster,
  withSecond,
} from './disaster-fakes.ts';
import { createTestEnvironment } from './environment.ts';
import { approve, failureOf, record, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const NOBODY = { people: 0, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 };
/** Everything as it was before. */
const AS_BEFORE = { topology: null, endpoints: { pool: OLD, file: OLD } };

describe('at its second decision', () => {
  it.each([
    ['rejected', 60_000],
    ['expired', 2_000],
  ])('%s gives back what clients and schedules had, and keeps the server', async (outcome, timeLimitMs) => {
    const backup = endless();
    const fakes = disasterFakes({
      settings: { approval: { ...NOBODY, people: 1, timeLimitMs } },
      activities: { takePhysicalBackup: backup.activity },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      await backup.begun;
      const status = await asked(handle, 'switch');
      if (outcome === 'rejected')
        await handle.executeUpdate('decide', approve(status, 'ben', { action: 'reject' }));
      const ended = (await handle.result()) as RunbookStatus;
      expect(ended).toMatchObject({ outcome, instance: { url: SERVER.url } });
      expect(ended.message).toMatch(/10\.1\.0\.5:5433 is kept until .*: holdfast connect disaster\//);
      expect(fakes.world).toEqual({ ...AS_BEFORE, server: 'offered', schedules: ['new', 'old'] });
      expect(fakes.calls().slice(-4)).toEqual([
        ...['keepTopology', 'applySchedules', 'offerInstance', 'writeEvidence'],
      ]);
      expect(fakes.inputsOf('offerInstance')[0]?.expiresAt).toBe(ended.instance?.expiresAt);
      expect(fakes.evidence()?.disaster).toMatchObject({ server: { timeline: 2 }, achieved: null });
      const { database } = ended;
      const backups = `WorkflowId STARTS_WITH 'backup/physical/${database}/'`;
      const found = async () => {
        const states: string[] = [];
        for await (const { status } of environment.client.workflow.list({ query: backups }))
          states.push(status.name);
        return states;
      };
      await expect.poll(found, { timeout: 10_000 }).toEqual(['CANCELLED']);
      await record(`disaster-switch-${outcome}`, handle);
    });
  });
});

describe('cancelled', () => {
  it.each([
    ['takeOverInstance', ['removeInstance']],
    ['proveArchive', ['removeInstance']],
    ['keepTopology', ['keepTopology', 'applySchedules', 'removeInstance']],
    ['applySchedules', ['keepTopology', 'applySchedules', 'removeInstance']],
    ['checkNewServer', ['keepTopology', 'applySchedules', 'removeInstance']],
    ['setEndpoints', ['restoreEndpoints', 'keepTopology', 'applySchedules', 'removeInstance']],
    ['verifyEndpoints', ['restoreEndpoints', 'keepTopology', 'applySchedules', 'removeInstance']],
    ['settleProduction', ['restoreEndpoints', 'keepTopology', 'applySchedules', 'removeInstance']],
  ] as const)(
    'in %s undoes what was done, the last first, and removes the server',
    async (name, cleanUps) => {
      const step = endless();
      let calls = 0;
      let late: Promise<unknown> = Promise.resolve();
      const fakes = disasterFakes({ settings: { approval: NOBODY } });
      const { [name]: once } = fakes.activities as unknown as DisasterActivities;
      // Only the first: topology and schedules are given back by the same activity. It has done its work, and ends late.
      const activity = async (input: never) => {
        calls += 1;
        const work = () => (once as (input: never) => Promise<unknown>)(input);
        if (calls > 1) return work();
        late = step.activity().finally(() => sleep(300).then(work));
        return late;
      };
      await withSecond(environment, { activities: { ...fakes.activities, [name]: activity } }, async () => {
        const handle = await startDisaster(environment);
        await step.begun;
        await handle.cancel();
        await failureOf(handle.result());
        expect((await handle.describe()).status.name).toBe('CANCELLED');
        await late.catch(() => {});
        expect(fakes.calls().slice(-cleanUps.length - 1)).toEqual([...cleanUps, 'writeEvidence']);
        expect(fakes.world).toMatchObject({ ...AS_BEFORE, server: 'removed' });
        expect(await statusOf(handle)).toMatchObject({ outcome: 'cancelled', instance: null, message: null });
        await record(`disaster-cancelled-${name}`, handle);
      });
    },
  );

  it('while it waits for the second decision, too', async () => {
    const fakes = disasterFakes();
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      await asked(handle, 'switch');
      await handle.cancel();
      await failureOf(handle.result());
      expect(fakes.world).toMatchObject({ ...AS_BEFORE, server: 'removed' });
      expect(fakes.calls()).not.toContain('restoreEndpoints');
    });
  });

  it('keeps the server where clients could not be sent back', async () => {
    const { begun, activity } = endless();
    const fakes = disasterFakes({
      settings: { approval: NOBODY },
      activities: {
        verifyEndpoints: activity,
        restoreEndpoints: async () => [{ name: 'pool', problem: 'permission denied' }],
      },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await begun;
      await handle.cancel();
      await failureOf(handle.result());
      expect(fakes.world).toMatchObject({ server: 'offered', topology: null });
      expect((await statusOf(handle)).message).toMatch(
        /clean-up failed: 1 endpoint could not be set back: pool: permission denied\nHINT: .*\n.*is kept until/,
      );
      await record('disaster-cancelled-stuck', handle);
    });
  });
});

describe('what goes wrong on the way', () => {
  it('a site without a worker is waited for', async () => {
    const fakes = disasterFakes({ settings: { noWorkerAfterMs: 1_000 } });
    const parked = await withWorkers(
      environment,
      fakes.activities,
      async () => {
        const handle = await startDisaster(environment);
        await approveNext(handle, 'recover');
        expect((await waitFor(handle, 'parked')).message).toMatch(/no worker answers.*holdfast-site-second/);
        return handle;
      },
      [],
    );
    await withSecond(environment, fakes, async () => {
      await approveNext(parked, 'switch');
      expect(await parked.result()).toMatchObject({ outcome: 'completed' });
      await record('disaster-without-worker', parked);
    });
  });

  it('a server that cannot be taken over is removed', async () => {
    const fakes = disasterFakes({
      settings: { approval: NOBODY },
      activities: { takeOverInstance: failing('NotSupported', 'it is another disk') },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      expect(await failureOf(handle.result())).toMatchObject({ type: 'NotSupported' });
      expect(fakes.world).toEqual({ ...AS_BEFORE, server: 'removed', schedules: [] });
      await record('disaster-not-taken-over', handle);
    });
  });

  it('a server that cannot be protected is kept, and the database lives where it did', async () => {
    const fakes = disasterFakes({
      settings: { approval: NOBODY },
      activities: { proveArchive: failing('CheckFailed', 'its archive is another') },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      expect(await failureOf(handle.result())).toMatchObject({ type: 'CheckFailed' });
      expect(fakes.world).toEqual({ ...AS_BEFORE, server: 'offered', schedules: [] });
      await record('disaster-unprotected', handle);
    });
  });

  it('protection that is tried again after parking does not take the new server for the one that is left', async () => {
    let away = true;
    const fakes = disasterFakes();
    const { applySchedules } = fakes.activities as unknown as DisasterActivities;
    const activities = {
      ...fakes.activities,
      applySchedules: (input: object) =>
        away ? failing('RepositoryRefused', 'access denied')() : applySchedules(input),
    };
    await withSecond(environment, { activities }, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      await waitFor(handle, 'parked');
      expect(fakes.world.topology).not.toBeNull();
      away = false;
      await handle.signal('resume');
      const status = await asked(handle, 'switch');
      expect(fakes.world.topology?.former).toMatchObject([{ stanza: status.database, address: OLD }]);
      expect(fakes.inputsOf('prepareTopology')).toHaveLength(1);
      await handle.executeUpdate('decide', approve(status, 'ben', { action: 'reject' }));
      await handle.result();
      expect(fakes.world).toMatchObject({ ...AS_BEFORE, server: 'offered' });
      expect(fakes.inputsOf('keepTopology').map(({ topology }) => topology?.site)).toEqual([
        ...['second', 'second', undefined],
      ]);
      await record('disaster-protected-again', handle);
    });
  });

  it('a terminated recovery leaves everything as it is, and its right to change production goes', async () => {
    const fakes = disasterFakes();
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const { database } = await asked(handle, 'switch');
      await handle.terminate();
      await failureOf(handle.result()).catch(() => {});
      expect(fakes.world).toMatchObject({ server: 'candidate', topology: { site: 'second' } });
      const change = environment.client.workflow.getHandle(changeWorkflowId(database));
      await expect.poll(async () => (await change.describe()).status.name).toBe('TERMINATED');
    });
  });
});
