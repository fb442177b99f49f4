import { randomUUID } from 'node:crypto';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { createDrillActivities, DrillPlan } from '../../src/activities/drilling.ts';
import type { RecoverySettings } from '../../src/activities/recovery-types.ts';
import type { Alert } from '../../src/model/alert.ts';
import type { DrillRecord } from '../../src/model/drill.ts';
import { CONTROL_QUEUE } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { changeWorkflowId } from '../../src/model/workflow-id.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeActivities, fakeBase, type RunbookActivities } from './fakes.ts';
import { failureOf, record, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const TABLES = ['public.orders'];
const PLAN: DrillPlan = {
  choice: { runbook: 'pointInTimeRecovery', target: { time: '2026-01-31T14:05:00Z' }, tables: TABLES },
  earlier: [4, 2, 3],
  lookEveryMs: 60_000,
};

interface Given {
  plan?: Partial<DrillPlan>;
  settings?: Partial<RecoverySettings>;
  activities?: Partial<RunbookActivities>;
  drills?: Partial<ReturnType<typeof createDrillActivities>>;
}

/** The fakes of a recovery, and those of a drill. */
function fakesOf({ plan, settings, activities, drills }: Given = {}) {
  const alerts: Alert[] = [];
  const records: DrillRecord[] = [];
  const fakes = fakeActivities({
    settings: settings ?? {},
    activities: {
      chooseLogicalBackup: async ({ tables }) => fakeBase(tables),
      restoreTables: async () => ({ ...fakes.replayed, tables: TABLES, named: TABLES, notices: [] }),
      checkRestoredTables: async () => [{ name: 'rows', verdict: 'pass', detail: '1 table' }],
      ...activities,
    } as Partial<RunbookActivities>,
  });
  const all = {
    ...fakes.activities,
    chooseDrill: async () => ({ ...PLAN, ...plan }),
    findRecovery: async () => null,
    recordDrill: async (scorecard: DrillRecord) => {
      records.push(scorecard);
      return 'drill/shop/x.json';
    },
    describeChannels: async () => ['slack 1'],
    sendAlert: async ({ alert }: { alert: Alert }) => {
      alerts.push(alert);
    },
    ...drills,
  };
  return { ...fakes, activities: all, alerts, records };
}

const start = (more: object = {}): Promise<WorkflowHandle> =>
  environment.client.workflow.start('restoreDrill', {
    args: [{ database: 'shop', reason: 'as scheduled', requestedBy: 'schedule', ...more }],
    taskQueue: CONTROL_QUEUE,
    workflowId: `drill/shop/${randomUUID()}`,
  });

const resultOf = async (handle: WorkflowHandle) => (await handle.result()) as DrillRecord;
const recoveryOf = (handle: WorkflowHandle) =>
  environment.client.workflow.getHandle(`${handle.workflowId}/recovery`);

it.each([
  ['people decide', 1],
  ['the policy approves everything', 0],
])('a real recovery goes up to its plan and is rejected, where %s', async (_who, people) => {
  const approval = { people, requesterMayApprove: false, approvers: ['nobody else'], timeLimitMs: 60_000 };
  const fakes = fakesOf({ settings: { approval } });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start();
    const scorecard = await resultOf(handle);
    expect(scorecard).toMatchObject({
      ...{ outcome: 'met', runbook: 'pointInTimeRecovery', tables: TABLES, site: 'local', reasons: [] },
      ...{ objectiveSeconds: 1_800, plan: { digest: 'digest-25' }, evidence: 'evidence/shop/x.json' },
      earlier: { drills: 3, medianSeconds: 3 },
    });
    expect(scorecard.steps.map(({ name }) => name)).toEqual([
      ...['choose base', 'provision', 'restore', 'replay', 'check', 'compare', 'import'],
    ]);
    expect(fakes.records).toEqual([scorecard]);
    const recovery = (await recoveryOf(handle).result()) as RunbookStatus;
    expect(recovery).toMatchObject({ outcome: 'rejected', reason: `drill ${handle.workflowId}` });
    expect(recovery.decisions).toMatchObject([{ by: 'drill', action: 'reject', comment: 'drill' }]);
    expect(fakes.calls).not.toContain('importTables');
    expect(fakes.calls).toContain('removeInstance');
    expect(fakes.alerts).toEqual([]);
    await record('drill', handle);
    await record('drilled', recoveryOf(handle));
  });
});

it('it neither needs nor takes the right to change production', async () => {
  const fakes = fakesOf({
    plan: { choice: { ...PLAN.choice, runbook: 'selectiveTableRestore', target: null } },
  });
  await withWorkers(environment, fakes.activities, async () => {
    const change = await environment.client.workflow.start('productionChange', {
      taskQueue: CONTROL_QUEUE,
      workflowId: changeWorkflowId('shop'),
    });
    expect(await resultOf(await start())).toMatchObject({ outcome: 'met', runbook: 'selectiveTableRestore' });
    await change.signal('release');
    await change.result();
  });
});

it('without a table the server is recovered and not handed over', async () => {
  const fakes = fakesOf({ plan: { choice: { ...PLAN.choice, tables: null }, earlier: [] } });
  await withWorkers(environment, fakes.activities, async () => {
    const scorecard = await resultOf(await start());
    expect(scorecard).toMatchObject({ outcome: 'met', plan: null, earlier: null });
    expect(scorecard.steps.map(({ name }) => name)).not.toContain('import');
  });
});

it('a recovery that fails is a drill that failed, of which people are told once', async () => {
  const fakes = fakesOf({
    settings: { remindMs: 60_000 },
    activities: {
      replayInstance: async () => {
        throw ApplicationFailure.nonRetryable('log 000000010000000000000007 is missing', 'LogGap');
      },
    },
  });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start();
    expect(await resultOf(handle)).toMatchObject({
      ...{ outcome: 'failed', recoverySeconds: null, reasons: ['log 000000010000000000000007 is missing'] },
    });
    await expect.poll(() => fakes.alerts.map(({ title }) => title)).toEqual(['drill of shop failed']);
    await record('drill-failed', handle);
  });
});

it('what somebody could mend is not waited for', async () => {
  const fakes = fakesOf({
    activities: {
      restoreInstance: async () => {
        throw ApplicationFailure.nonRetryable('the disk is full', 'NotEnoughSpace');
      },
    },
  });
  await withWorkers(environment, fakes.activities, async () => {
    expect(await resultOf(await start())).toMatchObject({ outcome: 'failed', reasons: ['the disk is full'] });
  });
});

it('one that takes longer than the objective has missed it, and people are told', async () => {
  const objectives = { rpoSeconds: 60, rtoSeconds: 1 };
  const fakes = fakesOf({ settings: { objectives, remindMs: 60_000 } });
  await withWorkers(environment, fakes.activities, async () => {
    const scorecard = await resultOf(await start());
    expect(scorecard.outcome).toBe('missed');
    expect(scorecard.reasons).toEqual([expect.stringMatching(/^the recovery takes .*, and the objective/)]);
    await expect
      .poll(() => fakes.alerts.map(({ title }) => title))
      .toEqual(['drill of shop missed the objective']);
  });
});

it('where a real recovery runs, nothing is begun', async () => {
  const fakes = fakesOf({ drills: { findRecovery: async () => 'pitr/shop/1' } });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start();
    expect(await resultOf(handle)).toMatchObject({
      outcome: 'skipped',
      reasons: ['pitr/shop/1 recovers this database, and a drill must not be in its way'],
    });
    expect(fakes.calls).not.toContain('provisionInstance');
    await record('drill-skipped', handle);
  });
});

/** A restore that ends only when it is cancelled; `begun` says when it is under way. */
function endlessRestore() {
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const restoreInstance = async () => {
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(), 200);
    begin();
    await context.cancelled.finally(() => clearInterval(timer));
  };
  return { begun, restoreInstance };
}

it('one that comes meanwhile ends the drill, and its instance goes first', async () => {
  const { begun, restoreInstance } = endlessRestore();
  let looks = 0;
  const fakes = fakesOf({
    plan: { lookEveryMs: 50 },
    activities: { restoreInstance },
    drills: {
      findRecovery: async () => {
        looks += 1;
        if (looks === 1) return null;
        await begun;
        return 'pitr/shop/2';
      },
    },
  });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start();
    const scorecard = await resultOf(handle);
    expect(scorecard).toMatchObject({
      outcome: 'skipped',
      reasons: [expect.stringMatching(/^pitr\/shop\/2/)],
    });
    expect(fakes.calls).toContain('removeInstance');
    expect((await recoveryOf(handle).describe()).status.name).toBe('CANCELLED');
    await record('drill-gave-way', handle);
  });
});

it('a drill that is cancelled ends after its recovery has cleaned up', async () => {
  const { begun, restoreInstance } = endlessRestore();
  const fakes = fakesOf({ activities: { restoreInstance } });
  await withWorkers(environment, fakes.activities, async () => {
    const handle = await start();
    await begun;
    await handle.cancel();
    await failureOf(handle.result());
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect((await recoveryOf(handle).describe()).status.name).toBe('CANCELLED');
    expect(fakes.calls).toContain('removeInstance');
    expect(fakes.records).toEqual([]);
    await record('drill-cancelled', handle);
  });
});

it('what cannot be drilled is refused by name', async () => {
  await withWorkers(environment, fakesOf().activities, async () => {
    const failure = await failureOf((await start({ runbook: 'undoImport' })).result());
    expect(failure).toMatchObject({ type: 'InvalidInput', message: expect.stringMatching(/runbook/) });
  });
});
