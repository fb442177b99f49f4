import { ApplicationFailure, Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { createDisasterActivities, type DisasterSettings } from '../../src/activities/disaster.ts';
import type { createEndpointActivities } from '../../src/activities/endpoints.ts';
import type { createFencingActivities } from '../../src/activities/fencing.ts';
import type { createProtectionActivities } from '../../src/activities/protection.ts';
import type { createSchedulingActivities } from '../../src/activities/scheduling.ts';
import type { createTakeoverActivities } from '../../src/activities/taking-over.ts';
import type { DatabaseConfig } from '../../src/config/schema.ts';
import type { Alert } from '../../src/model/alert.ts';
import type { Evidence } from '../../src/model/evidence.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../src/model/queue.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import type { Address, Topology } from '../../src/model/topology.ts';
import { exampleConfig } from '../unit/config/example.ts';
import { fakeActivities, type RunbookActivities } from './fakes.ts';
import { approve, statusOf, withWorkers } from './run.ts';

export type DisasterActivities = RunbookActivities &
  ReturnType<typeof createDisasterActivities> &
  ReturnType<typeof createEndpointActivities> &
  ReturnType<typeof createFencingActivities> &
  ReturnType<typeof createProtectionActivities> &
  ReturnType<typeof createSchedulingActivities> &
  ReturnType<typeof createTakeoverActivities>;

export const OLD: Address = { host: '10.0.0.5', port: 5432 };
export const NEW: Address = { host: '10.1.0.5', port: 5433 };
export const SERVER = {
  access: { host: '/socket', port: 5433, user: 'postgres', password: null, database: 'shop', tls: null },
  ...{
    systemIdentifier: '7',
    timeline: 2,
    switchedAt: '0/5000148',
    url: 'postgresql://h@10.1.0.5:5433/shop',
  },
  ...{ dataDirectory: '/production/data', socketDirectory: '/production/socket' },
  ...{ serviceFile: '/production/shop.service', notices: ['subscription feed is not started'] },
};

/** What a disaster recovery leaves behind, whatever order it was done in. */
export interface World {
  topology: Topology | null;
  endpoints: Record<string, Address | null>;
  server: 'none' | 'restored' | 'candidate' | 'offered' | 'production' | 'removed';
  /** state of the topology each time that schedules followed it */
  schedules: ('old' | 'new')[];
}

interface Given {
  settings?: Partial<DisasterSettings>;
  activities?: Partial<DisasterActivities>;
  /** clients of the database; default: two */
  endpoints?: Record<string, Address | null>;
}

/** A second site in memory; the plans are the real ones. */
export function disasterFakes({ settings, activities, endpoints }: Given = {}) {
  const world: World = {
    ...{ topology: null, server: 'none', schedules: [] },
    endpoints: endpoints ?? { pool: OLD, file: OLD },
  };
  const alerts: Alert[] = [];
  const plans = createDisasterActivities(planning(Object.keys(world.endpoints)));
  const all: Partial<DisasterActivities> = {
    planDisaster: (input) => plans.planDisaster({ ...input, database: 'shop' }),
    planSwitch: (input) => plans.planSwitch({ ...input, database: 'shop' }),
    describeDisaster: async () => ({
      ...{ engine: 'postgres', site: 'second', siteHosts: ['second'] },
      approval: { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 },
      objectives: { rpoSeconds: 3_600, rtoSeconds: 1_800 },
      ...{ noWorkerAfterMs: 30_000, parkLimitMs: 60_000, remindMs: null, instanceLifetimeMs: 3_600_000 },
      ...{ thaw: { lookEveryMs: 100, timeLimitMs: 60_000 }, address: NEW, fences: false },
      ...settings,
    }),
    assessLoss: async () => ({
      loss: {
        ...{ at: '2026-01-31T14:10:00Z', lastRecoverableAt: '2026-01-31T14:05:30Z', seconds: 270 },
        transactions: { lost: 12, until: '2026-01-31T14:06:00Z' },
      },
      oldServer: { address: OLD, state: 'silent', detail: 'it does not answer at 10.0.0.5:5432' },
    }),
    fenceOldServer: async ({ approvedBy }) => ({ by: 'word', detail: `${approvedBy.join(', ')} approved` }),
    provisionInstance: async ({ id, site }) => {
      world.server = 'restored';
      return { id, site, host: 'second', expiresAt: '2026-02-01T00:00:00Z' };
    },
    promoteInstance: async () => ({ timeline: 2 }),
    takeOverInstance: async () => {
      world.server = 'candidate';
      return SERVER;
    },
    proveArchive: async () => ({ log: '000000020000000000000006' }),
    prepareTopology: async ({ database, workflowId, stanza, server, address }) => {
      const left = { stanza: world.topology?.stanza ?? database, host: 'db1', address: OLD, timeline: 1 };
      return {
        before: world.topology,
        after: {
          ...{ formatVersion: 1, database, by: workflowId, at: '2026-01-31T14:20:00Z', site: 'second' },
          ...{ host: 'second', address, stanza, dataDirectory: server.dataDirectory, timeline: 2 },
          ...{ socketDirectory: server.socketDirectory, systemUser: 'postgres', systemIdentifier: '7' },
          former: [{ ...left, until: '2026-01-31T14:20:00Z' }, ...(world.topology?.former ?? [])],
        },
      };
    },
    keepTopology: async ({ topology }) => {
      world.topology = topology;
    },
    applySchedules: (async () => {
      world.schedules.push(world.topology === null ? 'old' : 'new');
      return {};
    }) as unknown as DisasterActivities['applySchedules'],
    describeProtection: async () => ({
      ...{ engine: 'postgres', host: 'second', tells: false, noWorkerAfterMs: 30_000 },
    }),
    takePhysicalBackup: (async () => ({
      id: 'first',
    })) as unknown as DisasterActivities['takePhysicalBackup'],
    checkNewServer: async () => [{ name: 'heartbeat', verdict: 'pass', detail: 'it is there' }],
    readEndpoints: async () => Object.entries(world.endpoints).map(([name, address]) => ({ name, address })),
    setEndpoints: async ({ values }) => {
      for (const { name, address } of values) world.endpoints[name] = address;
    },
    restoreEndpoints: async ({ values }) => {
      for (const { name, address } of values) world.endpoints[name] = address;
      return values.map(({ name }) => ({ name, problem: null }));
    },
    verifyEndpoints: async () => [{ name: 'pool', verdict: 'pass', detail: 'it is the new server' }],
    checkServing: async () => [
      { name: 'health 1', verdict: 'pass', detail: 'the query is true of the copy' },
    ],
    settleProduction: async () => {
      world.server = 'production';
    },
    offerInstance: async () => {
      world.server = 'offered';
    },
    removeInstance: async () => {
      world.server = 'removed';
    },
    describeChannels: async () => ['slack 1'],
    sendAlert: async ({ alert }: { alert: Alert }) => {
      alerts.push(alert);
    },
    ...activities,
  } as Partial<DisasterActivities>;
  const fakes = fakeActivities({ activities: all });
  return {
    ...{ world, alerts },
    activities: fakes.activities,
    /** without what the first backup calls, beside the recovery */
    calls: () => fakes.calls.filter((name) => !OF_THE_BACKUP.includes(name)),
    inputsOf: <T extends keyof DisasterActivities>(name: T) =>
      fakes.inputsOf(name as keyof RunbookActivities) as Parameters<DisasterActivities[T]>[0][],
    evidence: () => fakes.evidence() as Omit<Evidence, 'formatVersion'> | null,
  };
}

const OF_THE_BACKUP = ['describeProtection', 'takePhysicalBackup'];

/** What plans are made with. */
function planning(endpoints: string[]): Parameters<typeof createDisasterActivities>[0] {
  const config = exampleConfig();
  const shop = config.databases.shop as DatabaseConfig;
  shop.endpoints = endpoints.map((name) => ({ name, file: { path: '/etc/shop.env', url: 'DATABASE_URL' } }));
  return { config: { config }, engines: { postgres: {} } } as never;
}

export const QUEUES = [hostQueue('second'), siteQueue('second')];
export const withSecond = <T>(
  environment: TestWorkflowEnvironment,
  { activities }: { activities: object },
  work: () => Promise<T>,
): Promise<T> => withWorkers(environment, activities, work, QUEUES);

let runs = 0;
/** Of a database of its own: its first backup may still run when the next test begins. */
export function startDisaster(
  environment: TestWorkflowEnvironment,
  more: object = {},
): Promise<WorkflowHandle> {
  runs += 1;
  const database = `shop-${runs}`;
  const input = { database, reason: 'the region is gone', requestedBy: 'ana', site: 'second', ...more };
  return environment.client.workflow.start('fullDisasterRecovery', {
    args: [input],
    taskQueue: CONTROL_QUEUE,
    workflowId: `disaster/${input.database}/${process.pid}-${runs}`,
  });
}

/** Waits until it asks for this decision, on another plan than the one before. */
export async function asked(
  handle: WorkflowHandle,
  name: 'recover' | 'switch',
  before?: RunbookStatus,
): Promise<RunbookStatus> {
  for (let tries = 0; tries < 300; tries += 1) {
    const status = await statusOf(handle);
    const isNew = status.plan?.digest !== before?.plan?.digest;
    if (status.waitingFor === name && isNew) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it never asked for ${name}: ${JSON.stringify(await statusOf(handle))}`);
}

export async function approveNext(
  handle: WorkflowHandle,
  name: 'recover' | 'switch',
): Promise<RunbookStatus> {
  const status = await asked(handle, name);
  await handle.executeUpdate('decide', approve(status));
  return status;
}

/** An activity that ends only when it is cancelled; `begun` says when it is under way. */
export function endless() {
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const activity = async () => {
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(), 200);
    begin();
    await context.cancelled.finally(() => clearInterval(timer));
    throw new Error('unreachable');
  };
  return { begun, activity: activity as () => Promise<never> };
}

export const failing = (type: string, message: string) => async (): Promise<never> => {
  throw ApplicationFailure.nonRetryable(message, type);
};
