import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import {
  ApplicationFailure,
  defineSearchAttributeKey,
  SearchAttributeType,
  TypedSearchAttributes,
} from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import type { Decide } from '../model/decision.ts';
import type { EngineKind } from '../model/engine.ts';
import { FAILURES, type FailureType, HoldfastError } from '../model/failure.ts';
import type { WorkflowInput } from '../model/input.ts';
import { SIGNALS, UPDATES } from '../model/message.ts';
import { CONTROL_QUEUE } from '../model/queue.ts';
import type { DecisionRecord } from '../model/runbook.ts';
import type { Target } from '../model/target.ts';
import { workflowIdFor } from '../model/workflow-id.ts';
import { ANSWER_WITHIN_MS, noAnswer, orClosedRun } from './rpc.ts';

export type StartedType =
  | 'pointInTimeRecovery'
  | 'selectiveTableRestore'
  | 'fullDisasterRecovery'
  | 'dailyVerify'
  | 'restoreDrill'
  | 'undoImport'
  | 'logicalBackup'
  | 'physicalBackup'
  | 'monthlySnapshot';

export interface StartedRun {
  workflowId: string;
  runId: string;
}

/**
 * Starts a run with the id, queue, search attributes and summary that all clients use. The id is of the second,
 * so that a command typed twice starts one run. Throws DatabaseBusy, InvalidConfiguration.
 */
export async function startRun<T extends StartedType>(
  client: Client,
  options: { type: T; engine: EngineKind; input: WorkflowInput<T>; at?: Date },
): Promise<StartedRun> {
  const { type, engine, input } = options;
  const workflowId = workflowIdFor(type, input.database, options.at ?? new Date());
  try {
    const handle = await client.workflow.start(type, {
      workflowId,
      taskQueue: CONTROL_QUEUE,
      args: [input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      typedSearchAttributes: new TypedSearchAttributes([
        { key: keyword(SEARCH_ATTRIBUTES.database), value: input.database },
        { key: keyword(SEARCH_ATTRIBUTES.engine), value: engine },
        { key: keyword(SEARCH_ATTRIBUTES.runbook), value: type },
      ]),
      staticSummary: summaryOf('reason' in input ? input.reason : `${type} of ${input.database}`),
    });
    return { workflowId, runId: handle.firstExecutionRunId };
  } catch (error) {
    throw startError(error, workflowId);
  }
}

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);

// The server refuses a summary of more than 400 bytes, quotes included.
const SUMMARY_BYTES = 300;

function summaryOf(text: string): string {
  if (Buffer.byteLength(text) <= SUMMARY_BYTES) return text;
  const cut = Buffer.from(text).subarray(0, SUMMARY_BYTES).toString('utf8');
  return `${cut.replace(/�$/, '')}…`;
}

function startError(error: unknown, workflowId: string): unknown {
  if (error instanceof WorkflowExecutionAlreadyStartedError) {
    return new HoldfastError('DatabaseBusy', `${workflowId} has been started already`, {
      hint: `see it with holdfast status ${workflowId}`,
    });
  }
  const details = error instanceof Error ? `${error.message} ${String(error.cause ?? '')}` : '';
  if (/search attribute|no mapping defined/i.test(details)) {
    const names = Object.values(SEARCH_ATTRIBUTES);
    return new HoldfastError(
      'InvalidConfiguration',
      `the Temporal namespace lacks search attributes that Holdfast uses (${names.join(', ')})`,
      {
        hint: `temporal operator search-attribute create ${names.map((name) => `--name ${name}`).join(' ')} --type Keyword`,
        cause: error,
      },
    );
  }
  return error;
}

/** Sends a decision and waits for the runbook's word on it. Throws DecisionRefused. */
export async function sendDecision(
  client: Client,
  workflowId: string,
  decide: Decide,
): Promise<DecisionRecord> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    return await client.withDeadline(Date.now() + 2 * ANSWER_WITHIN_MS, () =>
      handle.executeUpdate<DecisionRecord, [Decide]>(UPDATES.decide, { args: [decide] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw refusalError(error.cause, workflowId);
    if (noAnswer(error)) {
      throw new HoldfastError(
        'NoWorker',
        `no worker answered for ${workflowId}: whether the decision counts is not known`,
        { hint: `start \`holdfast worker\`, then look with holdfast status ${workflowId}`, cause: error },
      );
    }
    throw orClosedRun(error, workflowId);
  }
}

/** A recovery's new target, and the base from which it will be reached. */
export interface Retargeted {
  target: Target;
  backup: string;
}

/** Choosing a base may close a log of production and wait until it is archived. */
const CHOSEN_WITHIN_MS = 300_000;

/**
 * Changes the target of a waiting recovery, and waits until it is known whether the new one can be reached. Throws
 * what the runbook says: DecisionRefused, TargetNotRecoverable, LogGap and the like. The old plan stands then.
 */
export async function sendRetarget(client: Client, workflowId: string, target: Target): Promise<Retargeted> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    const update = await client.withDeadline(Date.now() + 2 * ANSWER_WITHIN_MS, () =>
      handle.startUpdate<Retargeted, [{ target: Target }]>(UPDATES.retarget, {
        args: [{ target }],
        waitForStage: 'ACCEPTED',
      }),
    );
    return await client.withDeadline(Date.now() + CHOSEN_WITHIN_MS, () => update.result());
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw notRetargeted(error.cause, workflowId);
    if (noAnswer(error)) {
      throw new HoldfastError(
        'NoWorker',
        `no worker answered for ${workflowId}: whether its target changes is not known`,
        { hint: `start \`holdfast worker\`, then look with holdfast status ${workflowId}`, cause: error },
      );
    }
    throw orClosedRun(error, workflowId);
  }
}

function notRetargeted(cause: Error | undefined, workflowId: string): HoldfastError {
  const known = cause instanceof ApplicationFailure ? cause : null;
  const type = known?.type ?? '';
  // A workflow's own failure has its hint in the message and in the first detail.
  const [why = '', hint] = (cause?.message ?? String(cause)).split('\nHINT: ');
  return new HoldfastError(
    type in FAILURES ? (type as FailureType) : 'DecisionRefused',
    `the target stays as it is: ${why}`,
    { hint: hint ?? `see what it does: holdfast status ${workflowId}` },
  );
}

function refusalError(cause: Error | undefined, workflowId: string): HoldfastError {
  const why = cause instanceof ApplicationFailure ? cause.message : String(cause?.message ?? cause);
  return new HoldfastError('DecisionRefused', `the decision was refused: ${why}`, {
    hint: `look at the plan again: holdfast status ${workflowId}`,
  });
}

/** Lets a parked runbook try its step again, or ends the hand-over of an instance. */
export async function resumeRun(client: Client, workflowId: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal(SIGNALS.resume);
  } catch (error) {
    throw orClosedRun(error, workflowId);
  }
}
