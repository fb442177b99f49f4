import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import {
  approveNext,
  asked,
  type DisasterActivities,
  disasterFakes,
  failing,
  NEW,
  OLD,
  startDisaster,
  withSecond,
} from './disaster-fakes.ts';
import { createTestEnvironment } from './environment.ts';
import { approve, failureOf, record, statusOf, waitFor } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const BEFORE = { pool: OLD, file: OLD };

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
      expect(fakes.world).toMatchObject({ endpoints: BEFORE, topology: { site: 'second' } });
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
      expect(fakes.world.endpoints).toEqual(BEFORE);
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
