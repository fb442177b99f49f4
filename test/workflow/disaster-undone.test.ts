import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
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
  NEW,
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
const failing = (type: string, message: string) => async (): Promise<never> => {
  throw ApplicationFailure.nonRetryable(message, type);
};
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

describe('a switch', () => {
  it('that fails half way is taken back, and can be approved again', async () => {
    let broken = true;
    const fakes = disasterFakes({ settings: { remindMs: 1_000 } });
    const setEndpoints: DisasterActivities['setEndpoints'] = async ({ values }) => {
      fakes.world.endpoints.pool = NEW;
      if (broken) throw ApplicationFailure.nonRetryable('file: permission denied', 'EndpointFailed');
      for (const { name, address } of values) fakes.world.endpoints[name] = address;
    };
    const activities = { ...fakes.activities, setEndpoints };
    await withSecond(environment, { activities }, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const first = await approveNext(handle, 'switch');
      const again = await asked(handle, 'switch', first);
      expect(again.message).toMatch(/taken back, and can be approved again: file: permission denied/);
      expect(again.plan?.notices[0]).toBe('tried 1 time and taken back: file: permission denied');
      expect(fakes.world).toMatchObject({ endpoints: AS_BEFORE.endpoints, topology: { site: 'second' } });
      broken = false;
      // Nobody can approve what was tried already.
      await expect(handle.executeUpdate('decide', approve(first))).rejects.toThrow();
      await handle.executeUpdate('decide', approve(again));
      const status = (await handle.result()) as RunbookStatus;
      expect(status).toMatchObject({
        outcome: 'completed',
        message: expect.stringMatching(/lives at second/),
      });
      expect(fakes.world).toMatchObject({ endpoints: { pool: NEW, file: NEW }, server: 'production' });
      await expect
        .poll(() => fakes.alerts.filter(({ title }) => title.endsWith('a decision: switch')).length)
        .toBe(2);
      await record('disaster-switched-again', handle);
    });
  });

  it('after which clients do not reach the server is taken back', async () => {
    const bad = { name: 'pool', verdict: 'fail', detail: 'it is server 6, and has to be 7' } as const;
    const fakes = disasterFakes({ activities: { verifyEndpoints: async () => [bad] } });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const first = await approveNext(handle, 'switch');
      const again = await asked(handle, 'switch', first);
      expect(again.message).toMatch(/clients do not reach shop-.*: pool: it is server 6/);
      expect(fakes.world.endpoints).toEqual(AS_BEFORE.endpoints);
      // A person repairs the pool's entry meanwhile: that is not Holdfast's to take back any more.
      fakes.world.endpoints.file = NEW;
      await handle.executeUpdate('decide', approve(again, 'ben', { action: 'reject' }));
      expect(await handle.result()).toMatchObject({ outcome: 'rejected' });
      expect(fakes.world).toMatchObject({ server: 'offered', endpoints: { pool: OLD, file: NEW } });
      expect(fakes.inputsOf('restoreEndpoints')).toHaveLength(1);
      await record('disaster-switch-unverified', handle);
    });
  });

  it('is asked about again where the endpoints were changed since they were approved', async () => {
    const fakes = disasterFakes();
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const first = await asked(handle, 'switch');
      const other = { host: '10.9.9.9', port: 5432 };
      fakes.world.endpoints.file = other;
      await handle.executeUpdate('decide', approve(first));
      const again = await asked(handle, 'switch', first);
      expect(again.message).toMatch(/changed by somebody else/);
      expect(fakes.calls()).not.toContain('setEndpoints');
      await handle.executeUpdate('decide', approve(again, 'ben', { action: 'reject' }));
      await handle.result();
      expect(fakes.world.endpoints).toEqual({ pool: OLD, file: other });
      await record('disaster-switch-changed', handle);
    });
  });

  it('that cannot be taken back ends the recovery, and says what people have to do', async () => {
    const fakes = disasterFakes({
      activities: {
        setEndpoints: failing('EndpointFailed', 'file: permission denied'),
        restoreEndpoints: async () => [
          { name: 'pool', problem: 'the console is away' },
          { name: 'file', problem: null },
        ],
      },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      await approveNext(handle, 'switch');
      const failure = await failureOf(handle.result());
      expect(failure.message).toBe(
        '1 endpoint could not be set back: pool: the console is away; before that: file: permission denied\nHINT: set it back by hand to what the plan shows as its value now',
      );
      expect(fakes.world).toMatchObject({ server: 'offered', topology: null });
      const { plan } = await statusOf(handle);
      expect(plan?.endpoints).toContainEqual({ name: 'pool', from: '10.0.0.5:5432', to: '10.1.0.5:5433' });
      await record('disaster-not-set-back', handle);
    });
  });

  it('whose endpoints cannot be read waits until they can', async () => {
    let readable = false;
    const fakes = disasterFakes();
    const { readEndpoints } = fakes.activities as unknown as DisasterActivities;
    const activities = {
      ...fakes.activities,
      readEndpoints: (input: { database: string }) =>
        readable ? readEndpoints(input) : failing('EndpointFailed', 'pool: it is not in the ini')(),
    };
    await withSecond(environment, { activities }, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      expect((await waitFor(handle, 'parked')).message).toMatch(/not in the ini/);
      expect(fakes.world.server).toBe('candidate');
      readable = true;
      await handle.signal('resume');
      await approveNext(handle, 'switch');
      expect(await handle.result()).toMatchObject({ outcome: 'completed' });
      await record('disaster-unreadable', handle);
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
