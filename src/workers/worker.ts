import type { Client } from '@temporalio/client';
import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createAlertActivities } from '../activities/alerting.ts';
import { createAuditActivities } from '../activities/auditing.ts';
import type { Dependencies } from '../activities/dependencies.ts';
import { createDisasterActivities } from '../activities/disaster.ts';
import { createDrillActivities } from '../activities/drilling.ts';
import { createEndpointActivities } from '../activities/endpoints.ts';
import { createExaminingActivities } from '../activities/examining.ts';
import { createFencingActivities } from '../activities/fencing.ts';
import { createPlanningActivities } from '../activities/planning.ts';
import { createProtectionActivities } from '../activities/protection.ts';
import { createReapingActivities } from '../activities/reaping.ts';
import { createRecoveryActivities } from '../activities/recovery.ts';
import { createSchedulingActivities } from '../activities/scheduling.ts';
import { endShipments } from '../activities/shipments.ts';
import { createSnapshotActivities } from '../activities/snapshotting.ts';
import { createTakeoverActivities } from '../activities/taking-over.ts';
import { createThawingActivities } from '../activities/thawing.ts';
import { createUndoActivities } from '../activities/undoing.ts';
import { createVerifyingActivities } from '../activities/verifying.ts';
import { createWatchdogActivities } from '../activities/watching.ts';
import type { LoadedConfig } from '../config/load.ts';
import { HoldfastError } from '../model/failure.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../model/queue.ts';
import { workflowBundle } from './bundle.ts';
import { ENGINES } from './engines.ts';
import { following, followTopology, type Located } from './follow.ts';
import { runtimeMetrics } from './metrics.ts';
import { formatRole, type Role } from './roles.ts';
import { configureTools } from './tools.ts';
import type { Tracing } from './tracing.ts';

/**
 * Long work at a host: two dumps or restores fill two cores, and the log watch and clean-up must never wait
 * behind them.
 */
const HOST_SLOTS = 6;
/** Heartbeats reach the server at most this late, so that progress is fresh and a cancellation arrives soon. */
const HEARTBEAT_THROTTLE = '2s';
const SHUTDOWN_GRACE = '10s';

export interface WorkerInput {
  config: LoadedConfig;
  roles: readonly Role[];
  connection: NativeConnection;
  client: Client;
  logger: Logger;
  engines?: Dependencies['engines'];
  /** where runs are traced; absent: nowhere */
  tracing?: Tracing;
  signal?: AbortSignal;
}

/** Runs the workers of these roles until the process is told to end or the signal aborts. */
export async function runWorker(input: WorkerInput): Promise<void> {
  const { logger, roles } = input;
  configureTools(input.config.config);
  const located = followTopology(input.config, logger);
  // What is known now serves while the repository is away.
  await located({ orFile: true });
  const workers: Worker[] = [];
  for (const role of roles) workers.push(await createWorker(input, role, located));
  logger.info({ roles: roles.map(formatRole) }, 'worker started');
  const end = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  input.signal?.addEventListener('abort', end, { once: true });
  try {
    // One that fails takes the others with it: half a worker would look healthy.
    await Promise.all(workers.map((worker) => worker.run().finally(end)));
  } finally {
    input.signal?.removeEventListener('abort', end);
    // What goes on between the rounds of a log watch is nobody's activity.
    await endShipments(new HoldfastError('ToolFailed', 'the worker is ending'));
  }
}

async function createWorker(input: WorkerInput, role: Role, located: Located): Promise<Worker> {
  const shared = {
    connection: input.connection,
    namespace: input.client.options.namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    ...(input.tracing === undefined ? {} : { plugins: [input.tracing.plugin] }),
  } satisfies Partial<WorkerOptions>;
  switch (role.kind) {
    case 'control':
      return Worker.create({
        ...shared,
        taskQueue: CONTROL_QUEUE,
        workflowBundle: await workflowBundle(input.tracing?.plugin),
        activities: following(controlActivities, dependencies(input, 'control'), located),
      });
    case 'host':
      return Worker.create({
        ...shared,
        taskQueue: hostQueue(role.name),
        maxConcurrentActivityTaskExecutions: HOST_SLOTS,
        activities: following(hostActivities, dependencies(input, role.name), located),
      });
    case 'site': {
      const deps = dependencies(input, siteHost(input, role.name));
      const activities = following(siteActivities, deps, located);
      return Worker.create({ ...shared, taskQueue: siteQueue(role.name), activities });
    }
  }
}

const controlActivities = (deps: Dependencies) => ({
  ...createPlanningActivities(deps),
  ...createDisasterActivities(deps),
  ...createThawingActivities(deps),
  ...createSchedulingActivities(deps),
  ...createReapingActivities(deps),
  ...createVerifyingActivities(deps),
  ...createDrillActivities(deps),
  ...createSnapshotActivities(deps),
  ...createAlertActivities(deps),
  ...createAuditActivities(deps),
  ...createWatchdogActivities(deps),
  abandonLogicalBackup: createProtectionActivities(deps).abandonLogicalBackup,
});

const hostActivities = (deps: Dependencies) => ({
  ...createRecoveryActivities(deps),
  ...createProtectionActivities(deps),
  ...createTakeoverActivities(deps),
  ...createEndpointActivities(deps),
  ...createReapingActivities(deps),
  ...createUndoActivities(deps),
  ...createVerifyingActivities(deps),
});

const siteActivities = (deps: Dependencies) => ({
  ...createFencingActivities(deps),
  ...createExaminingActivities(deps),
  provisionInstance: createRecoveryActivities(deps).provisionInstance,
});

/** The host whose disk an instance of this site gets when this process answers. */
function siteHost({ config, roles }: WorkerInput, site: string): string {
  const hosts = config.config.sites[site]?.hosts ?? [];
  const served = roles.flatMap((role) => (role.kind === 'host' ? [role.name] : []));
  const own = hosts.find((host) => served.includes(host));
  if (own !== undefined || hosts.length === 1) return own ?? (hosts[0] as string);
  // An instance made here would be looked for on another host, by the restore and by the reaper.
  throw new HoldfastError(
    'InvalidInput',
    `role site:${site} does not tell on which of its hosts this worker runs`,
    {
      hint: `name the host's role too: ${hosts.map((host) => `host:${host},site:${site}`).join(' or ')}`,
    },
  );
}

function dependencies(input: WorkerInput, host: string): Dependencies {
  const { config, client, logger } = input;
  return { config, client, logger, host, metrics: runtimeMetrics(), engines: input.engines ?? ENGINES };
}
