import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DrillRecord } from '../../src/model/drill.ts';
import { CONTROL_QUEUE } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { changeWorkflowId } from '../../src/model/workflow-id.ts';
import { type DisasterActivities, disasterFakes, OLD, withSecond } from './disaster-fakes.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeBase } from './fakes.ts';
import { record } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

/** A drill of a disaster recovery at the second site. */
function drillFakes(activities: Partial<DisasterActivities> = {}) {
  const fakes = disasterFakes({ settings: { remindMs: 60_000 }, activities });
  const drills = {
    describeRecovery: (input: { database: string }) =>
      (fakes.activities as unknown as DisasterActivities).describeDisaster({ ...input, site: 'second' }),
    chooseDrill: async () => ({
      choice: {
        ...{ runbook: 'fullDisasterRecovery', target: { latest: true }, tables: null, site: 'second' },
      },
      ...{ earlier: [4, 2, 3], lookEveryMs: 60_000 },
    }),
    findRecovery: async () => null,
    recordDrill: async () => 'drill/shop/x.json',
  };
  return { ...fakes, activities: { ...fakes.activities, ...drills } };
}

async function drill(): Promise<{ handle: WorkflowHandle; scorecard: DrillRecord; recovery: RunbookStatus }> {
  const handle = await environment.client.workflow.start('restoreDrill', {
    args: [{ database: 'shop', reason: 'as scheduled', requestedBy: 'schedule' }],
    taskQueue: CONTROL_QUEUE,
    workflowId: `drill/shop/${randomUUID()}`,
  });
  const scorecard = (await handle.result()) as DrillRecord;
  const child = environment.client.workflow.getHandle(`${handle.workflowId}/recovery`);
  return { handle, scorecard, recovery: await child.query<RunbookStatus>('status') };
}

it('recovers at the other site up to the switch, isolated, and touches nothing that is production', async () => {
  const fakes = drillFakes();
  await withSecond(environment, fakes, async () => {
    const change = await environment.client.workflow.start('productionChange', {
      taskQueue: CONTROL_QUEUE,
      workflowId: changeWorkflowId('shop'),
    });
    const { handle, scorecard, recovery } = await drill();
    await change.signal('release');
    expect(scorecard).toMatchObject({
      ...{ outcome: 'met', runbook: 'fullDisasterRecovery', site: 'second', reasons: [] },
      ...{ evidence: 'evidence/shop/x.json', earlier: { drills: 3, medianSeconds: 3 } },
    });
    expect(scorecard.steps.map(({ name }) => name)).toEqual([
      ...['choose base', 'state the loss', 'plan', 'provision', 'restore', 'replay', 'check', 'take over'],
      ...['plan switch', 'switch'],
    ]);
    expect(recovery).toMatchObject({ outcome: 'rejected', instance: null });
    expect(recovery.decisions).toMatchObject([{ name: 'switch', by: 'drill', action: 'reject' }]);
    expect(recovery.plan?.summary).toBe('take 10.1.0.5:5433 as shop: no endpoint is switched');
    const calls = fakes.calls();
    expect(calls).toContain('promoteInstance');
    for (const name of [
      ...['fenceOldServer', 'takeOverInstance', 'proveArchive', 'keepTopology', 'applySchedules'],
      ...['readEndpoints', 'setEndpoints', 'restoreEndpoints', 'settleProduction', 'offerInstance'],
    ]) {
      expect(calls).not.toContain(name);
    }
    expect(fakes.world).toEqual({
      ...{ topology: null, endpoints: { pool: OLD, file: OLD }, server: 'removed', schedules: [] },
    });
    expect(fakes.alerts).toEqual([]);
    await record('disaster-drill', handle);
    await record('disaster-drilled', environment.client.workflow.getHandle(`${handle.workflowId}/recovery`));
  });
});

it.each([
  [
    'a check of the new server that fails',
    { checkNewServer: async () => [{ name: 'health 1', verdict: 'fail', detail: 'no rows' }] },
    /1 check of the new server failed, and a drill asks nobody: health 1: no rows/,
  ],
  [
    'a base that would have to be thawed',
    {
      chooseBase: async () => ({
        ...fakeBase(null),
        archived: { storageClass: 'GLACIER', objects: 3, bytes: 1e9, hours: 5 },
      }),
    },
    /GLACIER, and a drill thaws nothing/,
  ],
] as [string, Partial<DisasterActivities>, RegExp][])(
  '%s is a drill that failed',
  async (_what, activities, reason) => {
    const fakes = drillFakes(activities);
    await withSecond(environment, fakes, async () => {
      const { scorecard } = await drill();
      expect(scorecard).toMatchObject({ outcome: 'failed', reasons: [expect.stringMatching(reason)] });
      expect(fakes.world.server).not.toBe('restored');
      expect(fakes.calls()).not.toContain('requestThaw');
    });
  },
);
