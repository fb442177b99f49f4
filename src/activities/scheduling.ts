import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { desiredSchedules, ownerOf, WATCH_PREFIX } from '../config/schedules.ts';
import { applyChanges, diffSchedules, type ScheduleChange } from '../schedules/apply.ts';
import { describeSchedule } from '../watchdog/temporal.ts';
import type { Dependencies } from './dependencies.ts';
import { asActivity } from './run.ts';

/** What of the schedules followed a database, by id. */
export interface SchedulesMoved {
  created: string[];
  removed: string[];
}

/** What follows a database that was moved. */
export const createSchedulingActivities = (deps: Dependencies) => ({
  /**
   * Each host that has a database now is watched, and no other. All else that is scheduled finds the database by its
   * name, and what people paused, deleted or never applied stays so: where none of ours exists, nothing is made.
   */
  async applySchedules(_: object): Promise<SchedulesMoved> {
    return asActivity(async () => {
      const { client } = deps;
      const { config } = deps.config;
      const desired = desiredSchedules(config);
      const changes = await diffSchedules(client, desired, ownerOf(config));
      const watchers = changes.some(isOurs) ? changes.filter(({ id }) => id.startsWith(WATCH_PREFIX)) : [];
      const created = watchers.filter(({ kind }) => kind === 'create');
      const removed = watchers.filter(({ kind }) => kind === 'remove');
      // Before its schedule goes: one that is not told would watch on beside a new one if the database came back.
      for (const { id } of removed) await endWatcher(client, id);
      await applyChanges(client, desired, [...created, ...removed]);
      return { created: created.map(({ id }) => id), removed: removed.map(({ id }) => id) };
    });
  },
});

/** It exists, and is not that of another installation in the namespace. */
function isOurs({ kind, fields }: ScheduleChange): boolean {
  return kind !== 'create' && !fields.some(({ name }) => name === 'repository');
}

async function endWatcher(client: Client, schedule: string): Promise<void> {
  const running = (await describeSchedule(client, schedule))?.info.runningActions ?? [];
  for (const { workflow } of running) {
    await client.workflow
      .getHandle(workflow.workflowId)
      .cancel()
      .catch((error: unknown) => {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      });
  }
}
