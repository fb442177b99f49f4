import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Alert } from '../../src/model/alert.ts';
import { alertWorkflowId } from '../../src/model/workflow-id.ts';
import { createTestEnvironment } from './environment.ts';
import { fakeActivities } from './fakes.ts';
import { approve, failureOf, record, start, statusOf, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

/** What goes out is kept here instead of being sent. */
function post(channels: string[] = ['webhook 1'], send = async (_: { channel: string }) => {}) {
  const sent: Alert[] = [];
  return {
    sent,
    activities: {
      describeChannels: async () => channels,
      sendAlert: async ({ alert, channel }: { alert: Alert; channel: string }) => {
        await send({ channel });
        sent.push(alert);
      },
    },
  };
}

const titles = (alerts: Alert[]) => alerts.map(({ title }) => title);

/** The runs that deliver for this one. */
async function deliveries(handle: WorkflowHandle): Promise<WorkflowHandle[]> {
  const { events } = await handle.fetchHistory();
  const ids = (events ?? []).flatMap(
    ({ childWorkflowExecutionStartedEventAttributes: child }) => child?.workflowExecution?.workflowId ?? [],
  );
  return ids.map((id) => environment.client.workflow.getHandle(id));
}
const delivered = async (handle: WorkflowHandle) =>
  Promise.all((await deliveries(handle)).map((one) => one.result()));

test('a decision is told when it waits, with the plan and how to approve it, and the run goes on meanwhile', async () => {
  const { sent, activities } = post();
  const fakes = fakeActivities({ settings: { remindMs: 30_000 } });
  await withWorkers(environment, { ...fakes.activities, ...activities }, async () => {
    const handle = await start(environment);
    await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
    await handle.result();
    await delivered(handle);
    expect(sent).toMatchObject([
      {
        severity: 'warning',
        database: 'shop',
        title: 'pointInTimeRecovery of shop waits for a decision: import',
        text: 'insert 25 rows\nfor: rows were deleted',
        hint: `holdfast approve ${handle.workflowId} shows the plan and asks`,
        workflowId: handle.workflowId,
      },
    ]);
    await record('told-approved', handle);
  });
});

test('people are reminded before a decision expires', async () => {
  const { sent, activities } = post();
  const approval = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 1_500 };
  const fakes = fakeActivities({ settings: { remindMs: 1_000, approval } });
  await withWorkers(environment, { ...fakes.activities, ...activities }, async () => {
    const handle = await start(environment);
    expect(await handle.result()).toMatchObject({ outcome: 'expired' });
    await delivered(handle);
    expect(titles(sent).toSorted()).toEqual([
      'pointInTimeRecovery of shop waits for a decision: import',
      'the decision on import of shop expires in 1s',
    ]);
    await record('told-expired', handle);
  });
});

test('one that ends too soon to be reminded of is told once', async () => {
  const { sent, activities } = post();
  const approval = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 500 };
  const fakes = fakeActivities({ settings: { remindMs: 3_600_000, approval } });
  await withWorkers(environment, { ...fakes.activities, ...activities }, async () => {
    const handle = await start(environment);
    await handle.result();
    await delivered(handle);
    expect(sent).toHaveLength(1);
  });
});

test('a runbook that parks and one that fails are told', async () => {
  const { sent, activities } = post();
  const full = ApplicationFailure.create({
    ...{ type: 'NotEnoughSpace', message: 'the disk is full', details: ['free 3 GiB'], nonRetryable: true },
  });
  const fakes = fakeActivities({
    settings: { remindMs: 1_000, parkLimitMs: 200 },
    activities: {
      compareTables: async () => {
        throw full;
      },
    },
  });
  await withWorkers(environment, { ...fakes.activities, ...activities }, async () => {
    const handle = await start(environment);
    await failureOf(handle.result());
    await delivered(handle);
    expect(sent.toSorted((a, b) => a.title.localeCompare(b.title))).toMatchObject([
      {
        title: 'pointInTimeRecovery of shop failed',
        severity: 'critical',
        text: 'the disk is full',
        hint: 'free 3 GiB',
      },
      { title: 'pointInTimeRecovery of shop is parked in step compare', text: 'the disk is full' },
    ]);
    await record('told-parked-failed', handle);
  });
});

test('a cancelled run takes no alert back', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { sent, activities } = post(['webhook 1'], () => held);
  const fakes = fakeActivities({ settings: { remindMs: 1_000 } });
  await withWorkers(environment, { ...fakes.activities, ...activities }, async () => {
    const handle = await start(environment);
    await waitFor(handle, 'waiting-for-decision');
    await handle.cancel();
    await failureOf(handle.result()).catch(() => {});
    release();
    await delivered(handle);
    expect(sent).toHaveLength(1);
    expect(await statusOf(handle)).toMatchObject({ outcome: 'cancelled' });
    await record('told-cancelled', handle);
  });
});

const BACKUP = {
  describeProtection: async () => ({
    engine: 'postgres',
    host: 'local',
    tells: true,
    noWorkerAfterMs: 30_000,
  }),
  takePhysicalBackup: async () => {
    throw ApplicationFailure.nonRetryable('the stanza is missing', 'BackupFailed');
  },
};

test('a backup that fails is told', async () => {
  const { sent, activities } = post();
  await withWorkers(environment, { ...BACKUP, ...activities }, async () => {
    const handle = await start(environment, { database: 'shop', kind: 'full' }, 'physicalBackup');
    await failureOf(handle.result());
    await delivered(handle);
    expect(sent).toMatchObject([
      {
        title: 'physicalBackup of shop failed',
        text: 'the stanza is missing',
        workflowId: handle.workflowId,
      },
    ]);
    await record('physical-backup-failed-told', handle);
  });
});

const ALERT: Alert = {
  ...{ key: 'x', severity: 'warning', database: 'shop', title: 't', text: '', hint: null },
  ...{ workflowId: null, at: '2026-01-31T14:05:00Z' },
};

test('a channel that is broken or away for a while holds up no other', async () => {
  let tries = 0;
  const { sent, activities } = post(['slack 1', 'webhook 2', 'webhook 3'], async ({ channel }) => {
    if (channel === 'slack 1') throw ApplicationFailure.nonRetryable('slack 1 answered 404', 'ToolFailed');
    if (channel !== 'webhook 2') return;
    tries += 1;
    if (tries < 3) throw ApplicationFailure.retryable('webhook 2 answered 500', 'ToolFailed');
  });
  await withWorkers(environment, activities, async () => {
    const handle = await start(environment, ALERT, 'deliverAlert');
    expect(await handle.result()).toEqual({
      sent: ['webhook 2', 'webhook 3'],
      failed: ['slack 1: slack 1 answered 404'],
    });
    expect([tries, sent.length]).toEqual([3, 2]);
    const { events } = await handle.fetchHistory();
    const scheduled = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    // An hour of 500 is well within it.
    expect(scheduled.at(-1)).toMatchObject({
      retryPolicy: { maximumAttempts: 0, maximumInterval: { seconds: expect.anything() } },
    });
    const seconds = (of: 'scheduleToCloseTimeout') => Number(scheduled.at(-1)?.[of]?.seconds);
    expect(seconds('scheduleToCloseTimeout')).toBe(86_400);
    expect(Number(scheduled.at(-1)?.retryPolicy?.maximumInterval?.seconds)).toBe(300);
    await record('deliver-alert', handle);
  });
});

const PROBLEM = {
  ...{ key: 'overdue/shop/logical-backup', database: 'shop', severity: 'critical', what: 'it is overdue' },
  ...{ since: '2026-01-30T00:00:00Z', hint: null, told: 'nothing' },
};

const lookOf = (problems: object[], more: object = {}) => ({
  found: { problems, more: 0, unread: [], ...more },
  ...{ before: null, tells: true, pings: false },
});

test('the watchdog tells of a problem once, also when it looks again, and of its end', async () => {
  const { sent, activities } = post();
  let problems: object[] = [PROBLEM];
  let before: unknown = null;
  let pings = 0;
  const looks = {
    lookForProblems: async () => ({ ...lookOf(problems), before, pings: true }),
    pingDeadManSwitch: async () => {
      pings += 1;
      throw ApplicationFailure.nonRetryable('nobody is there', 'ToolFailed');
    },
  };
  await withWorkers(environment, { ...looks, ...activities }, async () => {
    const run = async (): Promise<WorkflowHandle> => {
      const handle = await start(environment, {}, 'watchdog');
      before = await handle.result();
      await delivered(handle);
      return handle;
    };
    const first = await run();
    expect(before).toMatchObject({ problems: [PROBLEM], more: 0 });
    expect(sent).toMatchObject([{ title: 'it is overdue', severity: 'critical', database: 'shop' }]);
    await record('watchdog-problem', first);
    await run();
    expect(sent).toHaveLength(1);
    problems = [];
    const last = await run();
    expect(sent.slice(1)).toMatchObject([{ title: 'over: it is overdue', severity: 'info' }]);
    await record('watchdog-over', last);
    expect(pings).toBe(3);
  });
});

test('a storm is told by its first drops', async () => {
  const { sent, activities } = post();
  const problems = Array.from({ length: 25 }, (_, index) => ({
    ...PROBLEM,
    key: `k${index}`,
    what: `p${index}`,
  }));
  const looks = {
    lookForProblems: async () => lookOf(problems, { more: 7 }),
  };
  await withWorkers(environment, { ...looks, ...activities }, async () => {
    const handle = await start(environment, {}, 'watchdog');
    await handle.result();
    await delivered(handle);
    expect(sent).toHaveLength(21);
    expect(titles(sent)).toContain('there are 12 more problems');
    await record('watchdog-storm', handle);
  });
});

test('the same alert is delivered once, whoever raises it', async () => {
  const { sent, activities } = post();
  const looks = {
    lookForProblems: async () => lookOf([{ ...PROBLEM, key: 'once' }]),
  };
  await withWorkers(environment, { ...looks, ...activities }, async () => {
    const [one, two] = [await start(environment, {}, 'watchdog'), await start(environment, {}, 'watchdog')];
    await Promise.all([one.result(), two.result()]);
    await delivered(one);
    await delivered(two);
    expect(sent).toHaveLength(1);
    const [failed] = [await one.fetchHistory(), await two.fetchHistory()].filter(({ events }) =>
      events?.some((event) => event.startChildWorkflowExecutionFailedEventAttributes != null),
    );
    expect(failed).toBeDefined();
    await record('watchdog-told-already', two);
  });
});

test('where nobody is told, nothing is started', async () => {
  const looks = {
    lookForProblems: async () => ({ ...lookOf([PROBLEM]), tells: false }),
  };
  await withWorkers(environment, looks, async () => {
    const handle = await start(environment, {}, 'watchdog');
    await handle.result();
    expect(await deliveries(handle)).toEqual([]);
    await record('watchdog-untold', handle);
  });
});

test('an id is one that Temporal takes, however long the key', () => {
  expect(alertWorkflowId('pitr/shop/1/decide the plan')).toBe('alert/pitr/shop/1/decide%20the%20plan');
  expect(alertWorkflowId('ö'.repeat(500)).length).toBeLessThanOrEqual(1_000);
});
