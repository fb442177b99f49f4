import {
  type ScheduleDescription,
  ScheduleOverlapPolicy,
  type ScheduleUpdateOptions,
} from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import type { DesiredSchedule } from '../config/schedules.ts';
import { type CronFields, formatCron } from '../model/cron.ts';
import { formatDuration } from '../model/duration.ts';

/** Where a started run, and so its schedule, says whose it is. */
export const OWNER_MEMO = 'holdfastRepository';

const MONTHS = [
  'JANUARY',
  'FEBRUARY',
  'MARCH',
  'APRIL',
  'MAY',
  'JUNE',
  'JULY',
  'AUGUST',
  'SEPTEMBER',
  'OCTOBER',
  'NOVEMBER',
  'DECEMBER',
];
const WEEKDAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'];

/** What Temporal takes, without the state: pausing belongs to people. */
export function optionsOf(schedule: DesiredSchedule) {
  const { crons, everyMs, jitterMs, overlap, catchupWindowMs } = schedule;
  return {
    spec: {
      timezone: 'UTC',
      ...(jitterMs === 0 ? {} : { jitter: jitterMs }),
      ...(everyMs === null ? { cronExpressions: crons } : { intervals: [{ every: everyMs }] }),
    },
    policies: {
      overlap: ScheduleOverlapPolicy[overlap],
      catchupWindow: catchupWindowMs,
      // One failed backup must not be the last.
      pauseOnFailure: false,
    },
    action: {
      type: 'startWorkflow',
      workflowType: schedule.workflowType,
      workflowId: schedule.workflowId,
      taskQueue: schedule.queue,
      args: [schedule.input],
      memo: { [OWNER_MEMO]: schedule.owner },
      typedSearchAttributes: Object.entries(schedule.attributes).map(([name, value]) => ({
        key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
        value,
      })),
    },
  } satisfies Omit<ScheduleUpdateOptions, 'state'>;
}

/** Every setting as text, for comparing and for people. */
export function fieldsOfDesired(schedule: DesiredSchedule): Record<string, string> {
  return {
    when:
      schedule.everyMs === null ? schedule.crons.join(' and ') : `every ${formatDuration(schedule.everyMs)}`,
    jitter: formatDuration(schedule.jitterMs),
    overlap: schedule.overlap,
    'catch-up': formatDuration(schedule.catchupWindowMs),
    'pause on failure': 'false',
    workflow: schedule.workflowType,
    'workflow id': schedule.workflowId,
    queue: schedule.queue,
    input: JSON.stringify(schedule.input),
    attributes: attributesText(schedule.attributes),
    repository: schedule.owner,
  };
}

/** The same of what the server has; whatever Holdfast would never set shows as a difference. */
export function fieldsOfDescription({ spec, policies, action }: ScheduleDescription): Record<string, string> {
  const given = action.typedSearchAttributes ?? [];
  const pairs = Array.isArray(given) ? given : given.getAll();
  const attributes = Object.fromEntries(pairs.map(({ key, value }) => [key.name, String(value)]));
  return {
    when: describeSpec(spec),
    jitter: formatDuration(Number(spec.jitter ?? 0)),
    overlap: policies.overlap ?? '',
    'catch-up': formatDuration(policies.catchupWindow),
    'pause on failure': String(policies.pauseOnFailure),
    workflow: action.workflowType,
    'workflow id': action.workflowId ?? '',
    queue: action.taskQueue,
    input: JSON.stringify(action.args?.[0] ?? null),
    attributes: attributesText(attributes),
    repository: ownerOfDescription(action) ?? '',
  };
}

export function ownerOfDescription(action: ScheduleDescription['action']): string | null {
  const owner = action.memo?.[OWNER_MEMO];
  return typeof owner === 'string' ? owner : null;
}

function attributesText(attributes: Record<string, string>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(', ');
}

function describeSpec(spec: ScheduleDescription['spec']): string {
  const parts = (spec.calendars ?? []).map(describeCalendar).sort();
  for (const { every, offset } of spec.intervals ?? []) {
    parts.push(`every ${formatDuration(every)}${offset ? ` offset ${formatDuration(offset)}` : ''}`);
  }
  if ((spec.skip ?? []).length > 0) parts.push('with times to skip');
  if (spec.startAt !== undefined) parts.push(`from ${spec.startAt.toISOString()}`);
  if (spec.endAt !== undefined) parts.push(`until ${spec.endAt.toISOString()}`);
  if (spec.timezone !== undefined && spec.timezone !== '' && spec.timezone !== 'UTC')
    parts.push(`in ${spec.timezone}`);
  return parts.join(' and ');
}

type Calendar = NonNullable<ScheduleDescription['spec']['calendars']>[number];

/** The server turns a cron expression into a calendar; this is the way back. */
function describeCalendar(calendar: Calendar): string {
  const fields: CronFields = [
    valuesOf(calendar.minute),
    valuesOf(calendar.hour),
    valuesOf(calendar.dayOfMonth),
    valuesOf(calendar.month, (name) => MONTHS.indexOf(name) + 1),
    valuesOf(calendar.dayOfWeek, (name) => WEEKDAYS.indexOf(name)),
  ];
  const seconds = valuesOf(calendar.second);
  const others = [
    ...(seconds.length === 1 && seconds[0] === 0 ? [] : [`seconds ${seconds.join(',')}`]),
    ...((calendar.year ?? []).length === 0 ? [] : ['some years only']),
  ];
  return [formatCron(fields), ...others].join(' ');
}

interface Range<T> {
  start: T;
  end?: T | undefined;
  step?: number | undefined;
}

function valuesOf<T extends string | number>(
  ranges: readonly Range<T>[] | undefined,
  numberOf: (value: string) => number = Number,
): number[] {
  const values = new Set<number>();
  for (const { start, end, step } of ranges ?? []) {
    const first = typeof start === 'number' ? start : numberOf(start);
    const last = end === undefined ? first : typeof end === 'number' ? end : numberOf(end);
    for (let value = first; value <= last; value += Math.max(1, step ?? 1)) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}
