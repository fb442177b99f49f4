import { proxyActivities } from '@temporalio/workflow';
import type { createPlanningActivities } from '../activities/planning.ts';
import type { createProtectionActivities } from '../activities/protection.ts';
import type { createReapingActivities } from '../activities/reaping.ts';
import type { createRecoveryActivities } from '../activities/recovery.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../model/queue.ts';

type Planning = ReturnType<typeof createPlanningActivities>;
type Protection = ReturnType<typeof createProtectionActivities>;
type Recovery = ReturnType<typeof createRecoveryActivities>;
type Reaping = ReturnType<typeof createReapingActivities>;

const BRIEFLY = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '30s',
  maximumAttempts: 5,
} as const;

/** Light work that any worker can do: configuration, repository, decisions. */
export const control = proxyActivities<Planning & Reaping>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '10m',
  heartbeatTimeout: '30s',
  retry: BRIEFLY,
});

/** Provisioning on any worker of a site; the one that answers names its host. */
export const onSite = (site: string, noWorkerAfterMs: number) =>
  proxyActivities<Pick<Recovery, 'provisionInstance'>>({
    taskQueue: siteQueue(site),
    scheduleToStartTimeout: noWorkerAfterMs,
    startToCloseTimeout: '10m',
    heartbeatTimeout: '30s',
    retry: BRIEFLY,
  });

/** Long work at one host's disks. A killed worker's step is found by its heartbeat and run again. */
export const onHost = (host: string, noWorkerAfterMs: number) =>
  proxyActivities<Recovery & Protection & Reaping>({
    taskQueue: hostQueue(host),
    scheduleToStartTimeout: noWorkerAfterMs,
    startToCloseTimeout: '7d',
    heartbeatTimeout: '20s',
    // The step's own processes must have ended before its clean-up starts.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 8 },
  });

/** Clean-up at a host: tried for an hour; what is left then is the reaper's. */
export const cleanUpOnHost = (host: string) =>
  proxyActivities<
    Pick<Recovery, 'removeInstance'> &
      Pick<Protection, 'abandonLogicalBackup'> &
      Pick<Reaping, 'reapInstances'>
  >({
    taskQueue: hostQueue(host),
    startToCloseTimeout: '10m',
    scheduleToCloseTimeout: '1h',
    heartbeatTimeout: '30s',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m' },
  });
