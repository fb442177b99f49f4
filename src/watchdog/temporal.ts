import {
  type Client,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleSummary,
} from '@temporalio/client';
import type { DesiredSchedule } from '../config/schedules.ts';
import { mapBounded } from '../repository/bounded.ts';
import type { ScheduleSeen } from './schedules.ts';

const AT_ONCE = 16;

/** The schedules that Temporal has of those that should be there. */
export async function readSchedules(
  client: Client,
  desired: readonly DesiredSchedule[],
): Promise<Map<string, ScheduleSeen>> {
  const listed = new Map<string, ScheduleSummary>();
  for await (const schedule of client.schedule.list()) listed.set(schedule.scheduleId, schedule);
  const seen = new Map<string, ScheduleSeen>();
  await mapBounded(desired, AT_ONCE, async ({ id }) => {
    const summary = listed.get(id);
    const [first] = summary?.info.recentActions ?? [];
    if (summary !== undefined && first !== undefined) {
      seen.set(id, { ...stateOf(summary), since: first.takenAt.getTime() });
      return;
    }
    // The list lags behind what was just made, and does not know when that was.
    const found = await describeSchedule(client, id);
    if (found !== null) seen.set(id, { ...stateOf(found), since: found.info.createdAt.getTime() });
  });
  return seen;
}

const stateOf = ({ state }: Pick<ScheduleSummary, 'state'>) => ({
  paused: state.paused,
  note: state.note || null,
});

export async function describeSchedule(client: Client, id: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}
