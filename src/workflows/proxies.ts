import type { ActivityOptions } from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure, proxyActivities, TimeoutFailure } from '@temporalio/workflow';
import type { createAlertActivities } from '../activities/alerting.ts';
import type { createAuditActivities } from '../activities/auditing.ts';
import type { createDisasterActivities } from '../activities/disaster.ts';
import type { createDrillActivities } from '../activities/drilling.ts';
import type { createEndpointActivities } from '../activities/endpoints.ts';
import type { createExaminingActivities } from '../activities/examining.ts';
import type { createFencingActivities } from '../activities/fencing.ts';
import type { createPlanningActivities } from '../activities/planning.ts';
import type { createProtectionActivities } from '../activities/protection.ts';
import type { createReapingActivities } from '../activities/reaping.ts';
import type { createRecoveryActivities } from '../activities/recovery.ts';
import type { createSchedulingActivities } from '../activities/scheduling.ts';
import type { createSnapshotActivities } from '../activities/snapshotting.ts';
import type { createTakeoverActivities } from '../activities/taking-over.ts';
import type { createThawingActivities } from '../activities/thawing.ts';
import type { createUndoActivities } from '../activities/undoing.ts';
import type { createVerifyingActivities } from '../activities/verifying.ts';
import type { createWatchdogActivities } from '../activities/watching.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../model/queue.ts';
import { summaryOf } from './summaries.ts';

type Thawing = ReturnType<typeof createThawingActivities>;
type Alerting = ReturnType<typeof createAlertActivities>;
type Auditing = ReturnType<typeof createAuditActivities>;
type Disaster = ReturnType<typeof createDisasterActivities>;
type Endpoints = ReturnType<typeof createEndpointActivities>;
type Examining = ReturnType<typeof createExaminingActivities>;
type Fencing = ReturnType<typeof createFencingActivities>;
type Scheduling = ReturnType<typeof createSchedulingActivities>;
type Snapshotting = ReturnType<typeof createSnapshotActivities>;
type Takeover = ReturnType<typeof createTakeoverActivities>;
type Drilling = ReturnType<typeof createDrillActivities>;
type Planning = ReturnType<typeof createPlanningActivities>;
type Protection = ReturnType<typeof createProtectionActivities>;
type Recovery = ReturnType<typeof createRecoveryActivities>;
type Reaping = ReturnType<typeof createReapingActivities>;
type Verifying = ReturnType<typeof createVerifyingActivities>;
type Undoing = ReturnType<typeof createUndoActivities>;
type Watching = ReturnType<typeof createWatchdogActivities>;

const BRIEFLY = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '30s',
  maximumAttempts: 5,
} as const;

/** Light work that any worker can do: configuration, repository, decisions. */
export const control = activitiesOn<
  Planning &
    Omit<Disaster, 'keepTopology'> &
    Thawing &
    Reaping &
    Verifying &
    Drilling &
    Watching &
    Pick<Snapshotting, 'chooseSnapshot'> &
    Pick<Alerting, 'describeChannels'>
>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '10m',
  heartbeatTimeout: '30s',
  retry: BRIEFLY,
});

/** Where a database lives: what gives it back must not be overtaken by what was cancelled. */
export const place = activitiesOn<Pick<Disaster, 'keepTopology'> & Scheduling>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '10m',
  heartbeatTimeout: '30s',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BRIEFLY,
});

/** Long work that S3 does: any worker can ask for it. A killed worker's step is found by its heartbeat. */
export const inRepository = ({ lostAfterMs }: Patience) =>
  activitiesOn<Pick<Snapshotting, 'takeSnapshot'>>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: '7d',
    heartbeatTimeout: lostAfterMs ?? LOST_AFTER,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 8 },
  });

/** Hours of listing where a repository is large. The calendar is arithmetic in one piece, without a sign of life. */
export const auditing = activitiesOn<Auditing>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '12h',
  heartbeatTimeout: '5m',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: BRIEFLY,
});

/** A receiver that is away for hours gets its alerts when it is back. */
export const alerting = activitiesOn<Pick<Alerting, 'sendAlert'>>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '1m',
  scheduleToCloseTimeout: '24h',
  heartbeatTimeout: '30s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5m' },
});

/** How long a step waits for a worker, and for a sign of life of the one that has it. */
export interface Patience {
  noWorkerAfterMs: number;
  /** absent in the history of a run that an earlier version began */
  lostAfterMs?: number;
}

const LOST_AFTER = '20s';

/** Provisioning on any worker of a site; the one that answers names its host. */
export const onSite = (site: string, { noWorkerAfterMs }: Patience) =>
  activitiesOn<Pick<Recovery, 'provisionInstance'>>({
    taskQueue: siteQueue(site),
    scheduleToStartTimeout: noWorkerAfterMs,
    startToCloseTimeout: '10m',
    heartbeatTimeout: '30s',
    // An instance must not appear after the clean-up has looked for it.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: BRIEFLY,
  });

/** A person waits for it. */
export const examineOn = (site: string) =>
  activitiesOn<Examining>({
    taskQueue: siteQueue(site),
    scheduleToStartTimeout: '15s',
    startToCloseTimeout: '2m',
    heartbeatTimeout: '30s',
    // It runs the backup tool.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { maximumAttempts: 1 },
  });

/** Where the site that takes over is: the fence's own time limit ends it. */
export const fenceOn = (site: string, { noWorkerAfterMs, lostAfterMs }: Patience) =>
  activitiesOn<Fencing>({
    taskQueue: siteQueue(site),
    scheduleToStartTimeout: noWorkerAfterMs,
    startToCloseTimeout: '7d',
    heartbeatTimeout: lostAfterMs ?? LOST_AFTER,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: BRIEFLY,
  });

/** Long work at one host's disks. A killed worker's step is found by its heartbeat and run again. */
export const onHost = (host: string, { noWorkerAfterMs, lostAfterMs }: Patience) =>
  activitiesOn<Recovery & Protection & Reaping & Takeover & Undoing & Verifying>({
    taskQueue: hostQueue(host),
    scheduleToStartTimeout: noWorkerAfterMs,
    startToCloseTimeout: '7d',
    heartbeatTimeout: lostAfterMs ?? LOST_AFTER,
    // The step's own processes must have ended before its clean-up starts.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 8 },
  });

/** What clients are sent by. A failure is soon said: half of them may have been sent already. */
export const endpointsOn = (host: string, { noWorkerAfterMs, lostAfterMs }: Patience) =>
  activitiesOn<Endpoints & Pick<Takeover, 'checkServing'>>({
    taskQueue: hostQueue(host),
    scheduleToStartTimeout: noWorkerAfterMs,
    startToCloseTimeout: '10m',
    heartbeatTimeout: lostAfterMs ?? LOST_AFTER,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumAttempts: 3 },
  });

/** Clean-up in the repository: tried for an hour, by any worker, so that a host that is gone does not hold it up. */
export const cleanUpRepository = activitiesOn<
  Pick<Protection, 'abandonLogicalBackup'> & Pick<Disaster, 'keepTopology'> & Scheduling
>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '10m',
  scheduleToCloseTimeout: '1h',
  heartbeatTimeout: '30s',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m' },
});

/** Clean-up at a host: tried for an hour; what is left then is the reaper's. */
export const cleanUpOnHost = (host: string, noWorkerAfterMs?: number) =>
  activitiesOn<
    Pick<Recovery, 'removeInstance'> & Pick<Takeover, 'offerInstance'> & Pick<Endpoints, 'restoreEndpoints'>
  >({
    taskQueue: hostQueue(host),
    ...(noWorkerAfterMs === undefined ? {} : { scheduleToStartTimeout: noWorkerAfterMs }),
    startToCloseTimeout: '10m',
    scheduleToCloseTimeout: '1h',
    heartbeatTimeout: '30s',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m' },
  });

type Activity = (input: unknown) => Promise<unknown>;
type Proxied = Activity & {
  executeWithOptions: (options: ActivityOptions, args: [unknown]) => Promise<unknown>;
};

/** Activities with a summary for the UI; a queue that nobody serves is named, which Temporal's time-out does not. */
function activitiesOn<T extends object>(options: ActivityOptions & { taskQueue: string }): T {
  const proxied = proxyActivities(options) as unknown as Record<string, Proxied>;
  const call = (name: string) => async (input: unknown) => {
    try {
      return await proxied[name]?.executeWithOptions({ ...options, summary: summaryOf(name, input) }, [
        input,
      ]);
    } catch (error) {
      throw isUnserved(error) ? unserved(options.taskQueue) : error;
    }
  };
  return new Proxy({} as T, { get: (_, name) => call(String(name)) });
}

function isUnserved(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof TimeoutFailure &&
    error.cause.timeoutType === 'SCHEDULE_TO_START'
  );
}

function unserved(queue: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'NoWorker',
    message: `no worker answers on task queue ${queue}`,
    details: [
      `start one that serves it: holdfast worker --roles ${queue.replace(/^holdfast-(host|site)-/, '$1:')}; a parked runbook then goes on by itself`,
    ],
    nonRetryable: true,
  });
}
