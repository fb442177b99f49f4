import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { changeWorkflowId } from '../../src/model/workflow-id.ts';
import { approveNext, asked, disasterFakes, NEW, OLD, startDisaster, withSecond } from './disaster-fakes.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeBase } from './fakes.ts';
import { approve, failureOf, record, statusOf, waitFor } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const NOBODY = { people: 0, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 };
const SOON = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 500 };
const BAD = { name: 'health 1', verdict: 'fail', detail: 'the query is false: SELECT true' } as const;
const SWITCHING = ['plan switch', 'decide switch', 'switch', 'verify endpoint'];
const statesOf = (status: RunbookStatus, names: string[]) =>
  names.map((name) => status.steps.find((step) => step.name === name)?.state);

describe('a disaster recovery', () => {
  it('asks twice, makes the other site production, and says what was lost', async () => {
    const fakes = disasterFakes();
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      const first = await approveNext(handle, 'recover');
      expect(first.plan?.summary).toMatch(/at second to the end of its logs: .*12 transactions/);
      expect(fakes.world.server).toBe('none');
      const second = await approveNext(handle, 'switch');
      expect(second.plan).toMatchObject({
        summary: 'switch 2 endpoints of shop to 10.1.0.5:5433',
        notices: expect.arrayContaining(['subscription feed is not started']),
      });
      expect(second.instance).toMatchObject({ url: 'postgresql://h@10.1.0.5:5433/shop' });
      const status = (await handle.result()) as RunbookStatus;

      expect(status).toMatchObject({ outcome: 'completed', instance: null, waitingFor: null });
      expect(status.message).toMatch(
        /lives at second now, 10\.1\.0\.5:5433; its service file: .*\n4m30s of commits are lost, where the RPO is 1h; it took .*s, where the RTO is 30m$/,
      );
      expect(status.decisions).toMatchObject([
        { name: 'recover', by: 'ben', plan: first.plan?.digest },
        { name: 'switch', by: 'ben', plan: second.plan?.digest },
      ]);
      expect(status.steps.map(({ name, state }) => [name, state])).toEqual(
        [
          ...['choose base', 'state the loss', 'plan', 'decide', 'fence', 'provision', 'restore', 'replay'],
          ...['check', 'take over', 'protect', 'verify', ...SWITCHING, 'settle'],
        ].map((name) => [name, 'done']),
      );
      expect(fakes.calls()).toEqual([
        ...['describeDisaster', 'chooseBase', 'assessLoss', 'planDisaster', 'fenceOldServer'],
        ...['provisionInstance', 'restoreInstance', 'replayInstance', 'checkInstance'],
        ...['takeOverInstance', 'proveArchive', 'prepareTopology', 'keepTopology', 'applySchedules'],
        ...['checkNewServer', 'readEndpoints', 'planSwitch', 'readEndpoints', 'planSwitch'],
        ...['setEndpoints', 'verifyEndpoints', 'checkServing', 'settleProduction', 'writeEvidence'],
      ]);
      const stanza = fakes.inputsOf('takeOverInstance')[0]?.stanza;
      expect(stanza).toMatch(new RegExp(`^${status.database}-\\d{8}t\\d{6}z$`));
      expect(fakes.world).toMatchObject({
        ...{ server: 'production', endpoints: { pool: NEW, file: NEW }, schedules: ['new'] },
        topology: { by: handle.workflowId, stanza, former: [{ address: OLD }] },
      });
      expect(fakes.inputsOf('replayInstance')[0]).toMatchObject({ durable: true, target: { latest: true } });
      expect(fakes.evidence()?.disaster).toMatchObject({
        ...{ loss: { seconds: 270 }, plan: { digest: first.plan?.digest } },
        fenced: { by: 'word', detail: 'ben approved' },
        server: { address: NEW, timeline: 2, stanza, serviceFile: '/production/shop.service' },
        achieved: { rpoSeconds: 270, rtoSeconds: expect.any(Number) },
      });
      expect(fakes.evidence()?.checks.map(({ name }) => name)).toEqual([
        ...['amcheck', 'heartbeat', 'pool', 'health 1'],
      ]);
      await expect.poll(() => fakes.inputsOf('takePhysicalBackup').length).toBe(1);
      expect(fakes.inputsOf('takePhysicalBackup')[0]).toMatchObject({ kind: 'full' });
      await record('disaster', handle);
    });
  });

  it('asks nobody where the policy says so', async () => {
    const fakes = disasterFakes({ settings: { approval: NOBODY, fences: true } });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      const status = (await handle.result()) as RunbookStatus;
      expect(status.message).not.toMatch(/fenced/);
      expect(status.decisions).toMatchObject([
        { name: 'recover', by: 'policy', action: 'approve' },
        { name: 'switch', by: 'policy', action: 'approve' },
      ]);
      expect(fakes.world).toMatchObject({ server: 'production', endpoints: { pool: NEW } });
      await record('disaster-by-policy', handle);
    });
  });

  it('where nobody is asked, ends at a check that fails, and keeps the server for people', async () => {
    const fakes = disasterFakes({
      settings: { approval: NOBODY, fences: true },
      activities: { checkNewServer: async () => [BAD] },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      const failure = await failureOf(handle.result());
      expect(failure).toMatchObject({
        type: 'CheckFailed',
        message: expect.stringMatching(
          /1 check .*nobody is asked.*health 1: .*false[\s\S]*HINT: clients were not/,
        ),
      });
      expect(failure.message.match(/HINT: /g)).toHaveLength(1);
      expect(fakes.world).toMatchObject({
        ...{ server: 'offered', topology: null, endpoints: { pool: OLD, file: OLD } },
        schedules: ['new', 'old'],
      });
      expect((await statusOf(handle)).message).toMatch(
        /is kept until .*holdfast connect disaster\/.*\nthe old server of shop-.* may have been fenced/,
      );
      await record('disaster-check-failed', handle);
    });
  });

  it('lets people judge a check that fails', async () => {
    const fakes = disasterFakes({ activities: { checkNewServer: async () => [BAD] } });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const { plan } = await approveNext(handle, 'switch');
      expect(plan?.notices).toContain('health 1: fail: the query is false: SELECT true');
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
    });
  });

  it.each([
    ['rejected', {}],
    ['expired', { approval: SOON }],
  ])('%s at its first decision makes nothing', async (outcome, settings) => {
    const fakes = disasterFakes({ settings });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      if (outcome === 'rejected') {
        const status = await asked(handle, 'recover');
        await handle.executeUpdate('decide', approve(status, 'ben', { action: 'reject' }));
      }
      expect(await handle.result()).toMatchObject({ outcome, instance: null });
      expect(fakes.calls().slice(-2)).toEqual(['planDisaster', 'writeEvidence']);
      expect(fakes.evidence()?.disaster).toMatchObject({
        plan: null,
        fenced: null,
        server: null,
        achieved: null,
      });
      await record(`disaster-${outcome}`, handle);
    });
  });

  it('takes another target at its first decision, and none later', async () => {
    const fakes = disasterFakes();
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      const first = await asked(handle, 'recover');
      const time = '2026-01-31T13:00:00Z';
      await handle.executeUpdate('retarget', { args: [{ target: { time } }] });
      const again = await asked(handle, 'recover', first);
      expect(again.plan?.summary).toMatch(
        /to time 2026-01-31T13:00:00Z: what was committed after it is lost, .*logs reach to 2026-01-31T14:05:30Z/,
      );
      await handle.executeUpdate('decide', approve(again));
      await asked(handle, 'switch');
      const late = handle.executeUpdate('retarget', { args: [{ target: { latest: true } }] });
      await expect(late).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/recovery is under way: start another one/) },
      });
      await approveNext(handle, 'switch');
      await handle.result();
      expect(fakes.inputsOf('replayInstance')[0]?.target).toEqual({ time });
      // Up to the last commit that came back, not to the end of the logs.
      expect(fakes.evidence()?.disaster?.achieved?.rpoSeconds).toBe(302);
      await record('disaster-retargeted', handle);
    });
  });

  it.each([
    ['is not to switch', { switchEndpoints: false }, { pool: OLD }],
    ['has no endpoints', {}, {}],
  ])('that %s ends with the new server', async (_why, input, endpoints) => {
    const fakes = disasterFakes({ endpoints });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment, input);
      await approveNext(handle, 'recover');
      const status = (await handle.result()) as RunbookStatus;
      expect(statesOf(status, SWITCHING)).toEqual(['done', 'skipped', 'skipped', 'skipped']);
      expect(fakes.world).toMatchObject({ server: 'production', endpoints });
      expect(fakes.calls()).not.toContain('setEndpoints');
      await record('disaster-without-switch', handle);
    });
  });

  it('without endpoints asks all the same where a check failed', async () => {
    const fakes = disasterFakes({ endpoints: {}, activities: { checkNewServer: async () => [BAD] } });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const status = await asked(handle, 'switch');
      expect(status.plan?.summary).toMatch(/no endpoint is switched/);
      await handle.executeUpdate('decide', approve(status, 'ben', { action: 'reject' }));
      expect(await handle.result()).toMatchObject({ outcome: 'rejected' });
      expect(fakes.world).toMatchObject({ server: 'offered', topology: null });
    });
  });

  it('waits until what is archived can be read, before it holds a server', async () => {
    const left = [3, 1, 0];
    const archived = { storageClass: 'GLACIER', objects: 3, bytes: 1e9, hours: 5 };
    const fakes = disasterFakes({
      activities: {
        chooseBase: async () => ({ ...fakeBase(null), archived }),
        requestThaw: async () => ({ left: left.shift() ?? 0 }),
      },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      await approveNext(handle, 'switch');
      const status = (await handle.result()) as RunbookStatus;
      expect(statesOf(status, ['thaw'])).toEqual(['done']);
      const calls = fakes.calls();
      expect(calls.slice(calls.indexOf('requestThaw'), calls.indexOf('restoreInstance'))).toEqual([
        ...['requestThaw', 'requestThaw', 'requestThaw', 'provisionInstance'],
      ]);
      await record('disaster-thawed', handle);
    });
  });

  it.each([
    { switchEndpoint: true },
    { tables: ['public.orders'] },
    { site: undefined },
    { target: { time: '2026-01-31 13:00' } },
    { switchEndpoints: 'yes' },
  ])('refuses %j by name', async (more) => {
    const fakes = disasterFakes();
    await withSecond(environment, fakes, async () => {
      const failure = await failureOf((await startDisaster(environment, more)).result());
      const [field] = Object.keys(more);
      expect(failure).toMatchObject({
        type: 'InvalidInput',
        message: expect.stringContaining(field as string),
      });
      expect(fakes.calls()).toEqual([]);
    });
  });
});

describe('the old server', () => {
  it.each([
    ['that can still be written to', 'can still be written to', 'disaster-still-writable'],
    ['whose fence failed', 'the fence of shop failed: exit code 1', 'disaster-fence-failed'],
  ])('%s parks the recovery until somebody has stopped it', async (_what, message, name) => {
    let stopped = false;
    const fakes = disasterFakes({
      settings: { remindMs: 1_000 },
      activities: {
        fenceOldServer: async () => {
          if (stopped) return { by: 'command', detail: 'stop ended with exit code 0' };
          throw ApplicationFailure.create({
            ...{ type: 'StillWritable', message, nonRetryable: true },
            details: ['stop it, and then: holdfast resume <workflow id>'],
          });
        },
      },
    });
    await withSecond(environment, fakes, async () => {
      const handle = await startDisaster(environment);
      await approveNext(handle, 'recover');
      const parked = await waitFor(handle, 'parked');
      expect(parked.message).toMatch(/HINT: stop it/);
      expect(fakes.world.server).toBe('none');
      stopped = true;
      await handle.signal('resume');
      await approveNext(handle, 'switch');
      await handle.result();
      expect(fakes.evidence()?.disaster?.fenced).toMatchObject({ by: 'command' });
      await expect
        .poll(() => fakes.alerts.map(({ title }) => title))
        .toEqual(
          ['waits for a decision: recover', 'is parked in step fence', 'waits for a decision: switch'].map(
            (title) => expect.stringContaining(title),
          ),
        );
      await record(name, handle);
    });
  });
});

it('of two at once the second names the first', async () => {
  const fakes = disasterFakes();
  await withSecond(environment, fakes, async () => {
    const first = await startDisaster(environment);
    const { database } = await asked(first, 'recover');
    const second = await startDisaster(environment, { database });
    const failure = await failureOf(second.result());
    expect(failure).toMatchObject({
      type: 'DatabaseBusy',
      message: expect.stringMatching(/pitr\/shop\/first/),
    });
    await first.cancel();
    await failureOf(first.result());
    const change = environment.client.workflow.getHandle(changeWorkflowId(database));
    expect((await change.describe()).status.name).toBe('COMPLETED');
    await record('disaster-busy', second);
    await record('disaster-cancelled-deciding', first);
  });
});
