import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  QueryNotRegisteredError,
  ServiceError,
  type WorkflowExecutionDescription,
  WorkflowFailedError,
} from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  type SearchAttributes,
} from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { formatFailure, HoldfastError } from '../model/failure.ts';
import { QUERIES } from '../model/message.ts';
import { OUTCOMES, type Outcome, type RunbookStatus } from '../model/runbook.ts';
import { mergeProgress, type PendingActivity, readPendingActivities } from './progress.ts';
import { ANSWER_WITHIN_MS, isAway, noAnswer, orUnknownRun } from './rpc.ts';

/** One look at a run. */
export interface Observed {
  status: RunbookStatus;
  activities: PendingActivity[];
  closed: boolean;
  /** false: no worker did, and this is what the Temporal server knows */
  answered: boolean;
  /** what the workflow returned, where it has ended well */
  result: unknown;
}

/** Reads what a runbook left in the repository, for runs that no worker can answer for any more. */
export type ReadEvidence = (database: string, workflowId: string) => Promise<RunbookStatus | null>;

/**
 * Looks at a run once: its own word (query `status`) with the heartbeats of its pending activities; where no
 * worker can answer, its evidence, and else what the Temporal server knows. Throws InvalidInput for an unknown id.
 */
export async function observe(
  client: Client,
  workflowId: string,
  options: { readEvidence?: ReadEvidence } = {},
): Promise<Observed> {
  const handle = client.workflow.getHandle(workflowId);
  const description = await handle.describe().catch((error: unknown) => {
    throw orUnknownRun(error, workflowId);
  });
  const closed = description.closeTime !== undefined;
  const activities = await readPendingActivities(
    description.raw.pendingActivities,
    client.options.loadedDataConverter,
  );
  const ended = closed ? await endOf(client, workflowId) : { message: null, result: null };
  const { own, answered } = await queryStatus(client, workflowId);
  const answer =
    own ??
    (closed ? await options.readEvidence?.(databaseOf(description), workflowId) : null) ??
    (await statusOf(description, closed));
  const outcome = outcomeOf(description.status.name, answer.outcome);
  const status: RunbookStatus = {
    ...answer,
    outcome,
    ...(closed ? { waitingFor: null, instance: leftBy(description, answer) } : {}),
    message: answer.message ?? ended.message ?? (closed || answered ? null : silenceOf(description)),
  };
  return { status: mergeProgress(status, activities), activities, closed, answered, result: ended.result };
}

/** `own` is null where the workflow knows no such query (a backup), or nobody is there to answer it. */
async function queryStatus(
  client: Client,
  workflowId: string,
): Promise<{ own: RunbookStatus | null; answered: boolean }> {
  try {
    const own = await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () =>
      client.workflow.getHandle(workflowId).query<RunbookStatus>(QUERIES.status),
    );
    return { own, answered: true };
  } catch (error) {
    if (error instanceof QueryNotRegisteredError) return { own: null, answered: true };
    // Whatever the server says about it: it has just described the run, so that only the answer is missing.
    if (error instanceof ServiceError || noAnswer(error)) return { own: null, answered: false };
    throw error;
  }
}

/** What an ended run has left for people, such as a server that did not become production. Who is cut off says nothing. */
function leftBy(
  { status }: WorkflowExecutionDescription,
  { instance }: RunbookStatus,
): RunbookStatus['instance'] {
  const cutOff = status.name === 'TERMINATED' || status.name === 'TIMED_OUT';
  return cutOff || instance === null || Date.parse(instance.expiresAt) < Date.now() ? null : instance;
}

function silenceOf({ taskQueue }: WorkflowExecutionDescription): string {
  return formatFailure(
    `no worker answers on queue ${taskQueue}: steps, plan and decisions cannot be shown`,
    'start one: holdfast worker --roles control',
  );
}

/**
 * The outcome, where the run's own word and the server's differ: a terminated run has no last word, and would
 * else be shown as waiting for ever.
 */
export function outcomeOf(server: WorkflowExecutionDescription['status']['name'], own: unknown): Outcome {
  const said = OUTCOMES.find((outcome) => outcome === own);
  if (server === 'RUNNING' || server === 'PAUSED') return said ?? 'running';
  if (said !== undefined && !OPEN.includes(said)) return said;
  if (server === 'COMPLETED') return 'completed';
  return server === 'CANCELLED' || server === 'TERMINATED' ? 'cancelled' : 'failed';
}

const OPEN: readonly Outcome[] = ['running', 'waiting-for-decision', 'parked'];

function databaseOf(description: { searchAttributes: SearchAttributes }): string {
  return attributeOf(description, SEARCH_ATTRIBUTES.database) ?? '';
}

export function attributeOf(
  description: { searchAttributes: SearchAttributes },
  name: string,
): string | null {
  const value = description.searchAttributes[name]?.[0];
  return typeof value === 'string' ? value : null;
}

/** The contract's shape from what the server knows: one step, nothing invented. */
async function statusOf(description: WorkflowExecutionDescription, closed: boolean): Promise<RunbookStatus> {
  const startedAt = description.startTime.toISOString();
  const finishedAt = description.closeTime?.toISOString() ?? null;
  const outcome = outcomeOf(description.status.name, attributeOf(description, SEARCH_ATTRIBUTES.outcome));
  return {
    workflowId: description.workflowId,
    runbook: attributeOf(description, SEARCH_ATTRIBUTES.runbook) ?? description.type,
    database: databaseOf(description),
    reason: (await description.staticSummary()) ?? '',
    requestedBy: '',
    outcome,
    steps: [
      {
        name: description.type,
        state: closed ? (outcome === 'completed' ? 'done' : 'failed') : 'running',
        startedAt,
        finishedAt,
        detail: null,
      },
    ],
    plan: null,
    waitingFor: null,
    decisions: [],
    instance: null,
    evidence: null,
    message: null,
  };
}

/** How a closed run ended: its result, or why it failed, in the two-line form. */
async function endOf(
  client: Client,
  workflowId: string,
): Promise<{ message: string | null; result: unknown }> {
  try {
    const result: unknown = await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () =>
      client.workflow.getHandle(workflowId).result(),
    );
    return { message: null, result };
  } catch (error) {
    if (error instanceof WorkflowFailedError) return { message: messageOf(error.cause), result: null };
    if (isAway(error)) return { message: null, result: null };
    throw error;
  }
}

/** The innermost failure of ours, with its hint; workflows have it in the message, activities in the first detail. */
function messageOf(cause: Error | undefined): string | null {
  if (cause === undefined) return null;
  if (cause instanceof ActivityFailure || cause instanceof ChildWorkflowFailure)
    return messageOf(cause.cause);
  const hint: unknown = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
  if (typeof hint !== 'string' || cause.message.includes(hint)) return cause.message;
  return formatFailure(cause.message, hint);
}

export interface FollowOptions {
  /** `decision`: return too when a person has to do something; `end`: only when the run has ended */
  until: 'decision' | 'end';
  everyMs?: number;
  signal?: AbortSignal;
  readEvidence?: ReadEvidence;
  onLook?: (observed: Observed) => void;
  /** Temporal could not be reached; following goes on */
  onAway?: (error: unknown) => void;
}

/** Looks again and again until the run has ended or waits for somebody. Outlasts restarts of the server and workers. */
export async function follow(client: Client, workflowId: string, options: FollowOptions): Promise<Observed> {
  const { until, everyMs = 1_000, signal, readEvidence, onLook, onAway } = options;
  for (;;) {
    try {
      const observed = await observe(client, workflowId, readEvidence === undefined ? {} : { readEvidence });
      onLook?.(observed);
      const { outcome, steps } = observed.status;
      // A waiting step is a decision, or an instance that has been handed over.
      const waits = outcome === 'parked' || steps.some(({ state }) => state === 'waiting');
      if (observed.closed || (waits && until === 'decision')) return observed;
    } catch (error) {
      if (error instanceof HoldfastError || !isAway(error)) throw error;
      onAway?.(error);
    }
    await sleep(everyMs, undefined, signal === undefined ? {} : { signal });
  }
}
