import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Config } from '../config/schema.ts';
import { HoldfastError } from '../model/failure.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../model/queue.ts';
import { CHANGE_HOLDER_MEMO, changeWorkflowId } from '../model/workflow-id.ts';

/** A queue that a run needs, and the role of the worker that serves it. */
export interface QueueNeed {
  queue: string;
  role: string;
}

export const CONTROL_NEED: QueueNeed = { queue: CONTROL_QUEUE, role: 'control' };
export const hostNeed = (host: string): QueueNeed => ({ queue: hostQueue(host), role: `host:${host}` });
export const siteNeed = (site: string): QueueNeed => ({ queue: siteQueue(site), role: `site:${site}` });

// Kinds of temporal.api.enums.v1.TaskQueueType: the control queue needs both, the others activities only.
const WORKFLOWS = 1;
const ACTIVITIES = 2;

/** A poll lasts a minute at most: a worker not seen for longer is gone. */
const SEEN_WITHIN_MS = 75_000;

/** Throws NoWorker, which names every queue that nobody serves and the command that would. */
export async function requireWorkers(client: Client, needs: readonly QueueNeed[]): Promise<void> {
  const missing: QueueNeed[] = [];
  for (const need of needs) {
    const kinds = need.queue === CONTROL_QUEUE ? [WORKFLOWS, ACTIVITIES] : [ACTIVITIES];
    const served = await Promise.all(kinds.map((kind) => isServed(client, need.queue, kind)));
    if (served.includes(false)) missing.push(need);
  }
  if (missing.length === 0) return;
  const queues = missing.map((need) => need.queue).join(', ');
  throw new HoldfastError(
    'NoWorker',
    `no worker serves the task queue${missing.length > 1 ? 's' : ''} ${queues}`,
    {
      hint: `start one where it belongs: holdfast worker --roles ${missing.map((need) => need.role).join(',')}`,
    },
  );
}

async function isServed(client: Client, queue: string, kind: number): Promise<boolean> {
  const { pollers } = await client.connection.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: kind,
  });
  const oldest = Date.now() - SEEN_WITHIN_MS;
  return (pollers ?? []).some((poller) => Number(poller.lastAccessTime?.seconds ?? 0) * 1_000 >= oldest);
}

/** Throws DatabaseBusy, which names the runbook that may change this database right now. */
export async function refuseSecondChange(client: Client, database: string): Promise<void> {
  const id = changeWorkflowId(database);
  try {
    const { status, memo } = await client.workflow.getHandle(id).describe();
    if (status.name !== 'RUNNING') return;
    const holder = String(memo?.[CHANGE_HOLDER_MEMO] ?? id);
    throw new HoldfastError('DatabaseBusy', `another runbook may change ${database} right now: ${holder}`, {
      hint: `wait for it, or decide it: holdfast status ${holder}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** Throws where the site is not known, or nobody serves what a restore there needs. */
export async function requireSite(client: Client, config: Config, site: string | undefined): Promise<void> {
  const place = siteOf(config, site);
  const hosts = config.sites[place]?.hosts ?? [];
  // Of several hosts any one will do, and none is known to be the one.
  const oneHost = hosts.length === 1 ? hosts.map(hostNeed) : [];
  await requireWorkers(client, [CONTROL_NEED, siteNeed(place), ...oneHost]);
}

/** The site of a restore: the one named, else the first. Throws InvalidInput that lists them. */
export function siteOf(config: Config, site: string | undefined): string {
  const sites = Object.keys(config.sites);
  const found = site ?? sites[0];
  if (found !== undefined && sites.includes(found)) return found;
  throw new HoldfastError(
    'InvalidInput',
    site === undefined ? 'there is no site' : `there is no site "${site}"`,
    {
      hint:
        sites.length === 0 ? 'add one under sites in the configuration' : `the sites are ${sites.join(', ')}`,
    },
  );
}
