import { WorkflowNotFoundError } from '@temporalio/client';
import { patienceOf } from '../config/describe.ts';
import { type OwnerState, removalsDue } from '../instances/expiry.ts';
import type { InstanceRecord } from '../instances/instance.ts';
import type { Run } from '../model/progress.ts';
import { readTopology } from '../repository/topology.ts';
import { removeExpiredUndo } from '../repository/undo.ts';
import { instancesOf, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { stopOf } from './recovery.ts';
import { asActivity } from './run.ts';

/** The others of a host do not wait long for one that S3 has to be asked about. */
const S3_PATIENCE_MS = 10_000;

export const createReapingActivities = (deps: Dependencies) => ({
  /** Every host that may have instances. */
  async listPlaces() {
    return asActivity(async () => {
      const { sites } = deps.config.config;
      const places = Object.entries(sites).flatMap(([site, { hosts }]) =>
        hosts.map((host) => ({ site, host })),
      );
      return { places, ...patienceOf(deps.config.config) };
    });
  },

  /** Removes what nobody owns any more from this host; returns the ids. */
  async reapInstances(input: { site: string }): Promise<string[]> {
    return asActivity(async (run) => {
      const instances = instancesOf(deps, input.site);
      const found = await instances.list();
      const owners = new Map<string, OwnerState>();
      for (const record of found) owners.set(record.id, await ownerState(deps, record));
      const removed: string[] = [];
      const due = removalsDue(found, (record) => owners.get(record.id) ?? 'unknown', new Date());
      for (const { record, reason } of due) {
        if (await isLivedIn(deps, record, run)) {
          deps.logger.warn({ instance: record.id }, 'left an instance alone that its database may live in');
          continue;
        }
        run.progress({ phase: `removing ${record.id}` });
        await instances.remove(record.id, { stop: (gone) => stopOf(deps, gone, run) });
        deps.logger.warn({ instance: record.id, reason }, 'removed an instance that nobody needs');
        removed.push(record.id);
      }
      return removed;
    });
  },

  /** Removes what would take imports back whose time for that is over; returns the folders. */
  async removeExpiredUndo(): Promise<string[]> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const removed = await removeExpiredUndo(repository, new Date(), run);
        for (const folder of removed) deps.logger.info({ folder }, 'removed expired undo data');
        return removed;
      }),
    );
  },
});

/** A recovery that was terminated gave nothing back: clients, schedules and backups may still be led to its server. */
async function isLivedIn(deps: Dependencies, record: InstanceRecord, run: Run): Promise<boolean> {
  if (record.role === undefined) return false;
  try {
    const limit = AbortSignal.any([run.signal, AbortSignal.timeout(S3_PATIENCE_MS)]);
    const topology = await withRepository(deps, 'restore', (repository) =>
      readTopology(repository, record.database, limit),
    );
    return topology?.host === record.host && topology.dataDirectory.startsWith(`${record.directory}/`);
  } catch {
    run.signal.throwIfAborted();
    return true;
  }
}

async function ownerState(deps: Dependencies, record: InstanceRecord): Promise<OwnerState> {
  try {
    const { workflowId, runId } = record.owner;
    const { status } = await deps.client.workflow.getHandle(workflowId, runId).describe();
    return status.name === 'RUNNING' ? 'running' : 'closed';
  } catch (error) {
    return error instanceof WorkflowNotFoundError ? 'closed' : 'unknown';
  }
}
