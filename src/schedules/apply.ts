import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  type ScheduleHandle,
  ScheduleNotFoundError,
} from '@temporalio/client';
import { type DesiredSchedule, SCHEDULE_PREFIX } from '../config/schedules.ts';
import { mapBounded } from '../repository/bounded.ts';
import { fieldsOfDescription, fieldsOfDesired, optionsOf, ownerOfDescription } from './form.ts';

/** What has to happen to one schedule. `paused` is a person's doing, and stays. */
export interface ScheduleChange {
  id: string;
  kind: 'create' | 'update' | 'remove' | 'keep';
  /** settings that differ; all of them for a new one */
  fields: { name: string; from: string | null; to: string | null }[];
  paused: { note: string | null } | null;
}

/** Requests in flight: a fleet has thousands of schedules. */
const AT_ONCE = 16;
const TRIGGERS = 5;
const LOOKS_PER_TRIGGER = 10;
const LOOK_EVERY_MS = 200;

/** The difference between what has to be and what the server has. Reads only. */
export async function diffSchedules(
  client: Client,
  desired: readonly DesiredSchedule[],
  owner: string,
): Promise<ScheduleChange[]> {
  const changes = await mapBounded(desired, AT_ONCE, async (schedule) =>
    changeOf(schedule, await describe(client, schedule.id)),
  );
  const wanted = new Set(desired.map(({ id }) => id));
  const others: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) {
    if (scheduleId.startsWith(SCHEDULE_PREFIX) && !wanted.has(scheduleId)) others.push(scheduleId);
  }
  const removals = await mapBounded(others.sort(), AT_ONCE, async (id): Promise<ScheduleChange[]> => {
    const found = await describe(client, id);
    // Another installation may share the namespace: what it protects is none of our business.
    if (found === null || ownerOfDescription(found.action) !== owner) return [];
    return [{ id, kind: 'remove', fields: [], paused: pausedOf(found) }];
  });
  return [...changes, ...removals.flat()];
}

/** Makes the server have what has to be, and only that; gives what was done. Safe to repeat and to run twice at once. */
export async function applySchedules(
  client: Client,
  desired: readonly DesiredSchedule[],
  owner: string,
): Promise<ScheduleChange[]> {
  const changes = await diffSchedules(client, desired, owner);
  await applyChanges(client, desired, changes);
  return changes;
}

/** Does a part of what {@link diffSchedules} found. */
export async function applyChanges(
  client: Client,
  desired: readonly DesiredSchedule[],
  changes: readonly ScheduleChange[],
): Promise<void> {
  const byId = new Map(desired.map((schedule) => [schedule.id, schedule]));
  await mapBounded(changes, AT_ONCE, async ({ id, kind }) => {
    const schedule = byId.get(id);
    if (kind === 'remove') await remove(client, id);
    else if (kind === 'create' && schedule !== undefined) await create(client, schedule);
    else if (kind === 'update' && schedule !== undefined) await update(client, schedule);
  });
}

function changeOf(schedule: DesiredSchedule, found: ScheduleDescription | null): ScheduleChange {
  const wanted = Object.entries(fieldsOfDesired(schedule));
  if (found === null) {
    const fields = wanted.map(([name, to]) => ({ name, from: null, to }));
    return { id: schedule.id, kind: 'create', fields, paused: null };
  }
  const present = fieldsOfDescription(found);
  const fields = wanted
    .filter(([name, to]) => present[name] !== to)
    .map(([name, to]) => ({ name, from: present[name] ?? null, to }));
  return { id: schedule.id, kind: fields.length === 0 ? 'keep' : 'update', fields, paused: pausedOf(found) };
}

async function create(client: Client, schedule: DesiredSchedule): Promise<void> {
  try {
    const handle = await client.schedule.create({ scheduleId: schedule.id, ...optionsOf(schedule) });
    // A watcher has to run from now on, not from the next interval. `triggerImmediately` of the creation would
    // allow any overlap: the schedule does not count that run as its own and starts another beside it.
    if (schedule.everyMs !== null) await startNow(handle, schedule.overlap);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await update(client, schedule);
  }
}

/**
 * A trigger right behind the creation is lost now and then (seen with server 1.29 in about every third run of the
 * test): it is repeated until the schedule has started something. With an overlap policy no second run comes of that.
 */
async function startNow(handle: ScheduleHandle, overlap: DesiredSchedule['overlap']): Promise<void> {
  for (let tries = 0; tries < TRIGGERS; tries += 1) {
    await handle.trigger(overlap);
    for (let looks = 0; looks < LOOKS_PER_TRIGGER; looks += 1) {
      await sleep(LOOK_EVERY_MS);
      if ((await handle.describe()).info.numActionsTaken > 0) return;
    }
  }
}

async function update(client: Client, schedule: DesiredSchedule): Promise<void> {
  await client.schedule
    .getHandle(schedule.id)
    // Without the previous state an update takes a person's pause away.
    .update(({ state }) => ({ ...optionsOf(schedule), state }));
}

async function remove(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

async function describe(client: Client, id: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

function pausedOf({ state }: ScheduleDescription): ScheduleChange['paused'] {
  return state.paused ? { note: state.note || null } : null;
}
