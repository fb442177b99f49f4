import { type Client, type ScheduleDescription, WorkflowNotFoundError } from '@temporalio/client';
import { SCHEDULE_PREFIX } from '../config/schedules.ts';
import { mapBounded } from '../repository/bounded.ts';

/** Requests in flight: a fleet has thousands of schedules. */
const AT_ONCE = 16;

/** A schedule with what came of it. Times are ISO 8601. */
export interface ScheduleRow {
  id: string;
  nextRunAt: string | null;
  lastRunAt: string | null;
  lastWorkflowId: string | null;
  /** of the last run: running, completed, failed, …; `unknown` where its history is gone */
  lastResult: string | null;
  paused: boolean;
  note: string | null;
  /** starts that were missed because the server was away for longer than the catch-up window */
  missed: number;
  /** starts that were left out because the one before was still running */
  skipped: number;
}

/** All schedules of ours in the namespace, by id. */
export async function listSchedules(client: Client): Promise<ScheduleRow[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) {
    if (scheduleId.startsWith(SCHEDULE_PREFIX)) ids.push(scheduleId);
  }
  return mapBounded(ids.sort(), AT_ONCE, async (id) =>
    rowOf(client, await client.schedule.getHandle(id).describe()),
  );
}

async function rowOf(client: Client, { scheduleId, info, state }: ScheduleDescription): Promise<ScheduleRow> {
  const last = info.recentActions.at(-1);
  const workflowId = last?.action.workflow.workflowId ?? null;
  return {
    id: scheduleId,
    nextRunAt: state.paused ? null : (info.nextActionTimes[0]?.toISOString() ?? null),
    lastRunAt: last?.takenAt.toISOString() ?? null,
    lastWorkflowId: workflowId,
    lastResult: workflowId === null ? null : await resultOf(client, workflowId),
    paused: state.paused,
    note: state.note || null,
    missed: info.numActionsMissedCatchupWindow,
    skipped: info.numActionsSkippedOverlap,
  };
}

async function resultOf(client: Client, workflowId: string): Promise<string> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return status.name.toLowerCase().replaceAll('_', '-');
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'unknown';
    throw error;
  }
}
