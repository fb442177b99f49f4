import type { Client, WorkflowHandle } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../model/attribute.ts';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];

export interface TrailEntry {
  /** ISO 8601 */
  at: string;
  what: string;
}

/** The events of a run that an auditor asks for: what was done where, who decided, how it ended. */
export async function readTrail(client: Client, workflowId: string): Promise<TrailEntry[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const activities = new Map<string, string>();
  const trail: TrailEntry[] = [];
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      activities.set(
        String(event.eventId),
        `${scheduled.activityType?.name} on queue ${scheduled.taskQueue?.name}`,
      );
    }
    const what = describeEvent(event, (id) => activities.get(String(id)) ?? 'an activity');
    if (what !== null) trail.push({ at: timeOf(event), what });
  }
  return trail;
}

function describeEvent(event: HistoryEvent, activity: (scheduledId: unknown) => string): string | null {
  const started = event.workflowExecutionStartedEventAttributes;
  if (started) return `started ${started.workflowType?.name} (by ${started.identity})`;
  const done = event.activityTaskCompletedEventAttributes;
  if (done) return `done: ${activity(done.scheduledEventId)}`;
  const failed = event.activityTaskFailedEventAttributes;
  if (failed) return `FAILED: ${activity(failed.scheduledEventId)}: ${failed.failure?.message}`;
  const late = event.activityTaskTimedOutEventAttributes;
  if (late) return `TIMED OUT: ${activity(late.scheduledEventId)}`;
  const child = event.childWorkflowExecutionStartedEventAttributes;
  if (child) return `holds ${child.workflowExecution?.workflowId}: nobody else may change this database`;
  const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
  if (update) return `${update.input?.name}: ${firstPayload(update.input?.args?.payloads)}`;
  const signal = event.workflowExecutionSignaledEventAttributes;
  if (signal) return `signal ${signal.signalName}: ${firstPayload(signal.input?.payloads)}`;
  const fields = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields;
  const outcome = fields?.[SEARCH_ATTRIBUTES.outcome];
  if (outcome) return `is now ${textOf(outcome).replaceAll(/["[\]]/g, '')}`;
  if (event.workflowExecutionCompletedEventAttributes) return 'ended: completed';
  if (event.workflowExecutionCanceledEventAttributes) return 'ended: cancelled';
  const end = event.workflowExecutionFailedEventAttributes;
  return end ? `ended: failed: ${end.failure?.message}` : null;
}

function firstPayload(payloads: { data?: Uint8Array | null }[] | null | undefined): string {
  return payloads?.[0] === undefined ? '' : textOf(payloads[0]);
}

function textOf({ data }: { data?: Uint8Array | null }): string {
  return Buffer.from(data ?? []).toString('utf8');
}

function timeOf({ eventTime }: HistoryEvent): string {
  const milliseconds = Number(eventTime?.seconds ?? 0) * 1_000 + Math.floor((eventTime?.nanos ?? 0) / 1e6);
  return new Date(milliseconds).toISOString();
}
