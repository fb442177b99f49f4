import { randomUUID } from 'node:crypto';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import type { LoadedConfig } from '../config/load.ts';
import { desiredSchedules, ownerOf } from '../config/schedules.ts';
import type { Finding, TemporalProbe } from '../doctor/check.ts';
import { HoldfastError } from '../model/failure.ts';
import type { WorkflowInput } from '../model/input.ts';
import { CONTROL_QUEUE } from '../model/queue.ts';
import { diffSchedules } from '../schedules/apply.ts';
import { CONTROL_NEED, hostNeed, requireWorkers, siteNeed } from './preflight.ts';
import { connectTemporal } from './temporal.ts';

/** A look at a site's machine runs its backup tool for every database. */
const SITE_PATIENCE_MS = 60_000;

/** Temporal for the doctor: connects once, when it is first asked. */
export function temporalProbe(loaded: LoadedConfig): TemporalProbe & { close(): Promise<void> } {
  let connected: ReturnType<typeof connectTemporal> | null = null;
  const connect = () => {
    connected ??= connectTemporal(loaded);
    return connected;
  };
  const served = async (needs: Parameters<typeof requireWorkers>[1]) => {
    const { client } = await connect();
    await requireWorkers(client, needs);
  };
  return {
    reach: async () => {
      const { address, namespace } = await connect();
      return `${address}, namespace ${namespace}`;
    },
    requireServed: (site, hosts) => served([CONTROL_NEED, siteNeed(site), ...hosts.map(hostNeed)]),
    requireHosts: (hosts) => served([CONTROL_NEED, ...hosts.map(hostNeed)]),
    describe: async () => describe((await connect()).client),
    schedules: async () => {
      const { config } = loaded;
      const desired = desiredSchedules(config);
      const changes = await diffSchedules((await connect()).client, desired, ownerOf(config));
      return {
        count: desired.length,
        wrong: changes.filter(({ kind }) => kind !== 'keep').map(({ id }) => id),
        paused: changes.filter(({ paused }) => paused !== null).map(({ id }) => id),
      };
    },
    examineSite: async (site) => examineSite((await connect()).client, site),
    close: async () => {
      const temporal = await connected?.catch(() => null);
      await temporal?.close();
    },
  };
}

async function describe(client: Client): ReturnType<TemporalProbe['describe']> {
  const { namespace } = client.options;
  const { workflowService, operatorService } = client.connection;
  const { serverVersion } = await workflowService.getClusterInfo({});
  const { config } = await workflowService.describeNamespace({ namespace });
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  return {
    version: serverVersion ?? '',
    retentionMs: Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) * 1_000,
    attributes: Object.keys(customAttributes ?? {}),
  };
}

/** Throws NoWorker where nobody of the site answers. */
async function examineSite(client: Client, site: string): ReturnType<TemporalProbe['examineSite']> {
  await requireWorkers(client, [CONTROL_NEED, siteNeed(site)]);
  const input: WorkflowInput<'siteExamination'> = { site };
  const askedAt = new Date();
  const handle = await client.workflow.start('siteExamination', {
    workflowId: `doctor/${site}/${randomUUID()}`,
    taskQueue: CONTROL_QUEUE,
    args: [input],
    workflowExecutionTimeout: SITE_PATIENCE_MS,
    staticSummary: `the doctor asks about ${site}`,
  });
  const { startTime } = await handle.describe();
  const findings = await handle.result().catch((error: unknown) => {
    throw notExamined(error, site);
  });
  return { findings: findings as Finding[], startedAt: startTime, askedAt };
}

function notExamined(error: unknown, site: string): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const { cause } = error;
  const said = cause instanceof ActivityFailure ? cause.cause : cause;
  const hint: unknown = said instanceof ApplicationFailure ? said.details?.[0] : undefined;
  return new HoldfastError('NoWorker', said?.message ?? `nobody of ${site} has answered in time`, {
    hint: typeof hint === 'string' ? hint : `is its worker running? holdfast worker --roles site:${site}`,
    cause: error,
  });
}
