import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { FAILURES, type FailureType, formatFailure, HoldfastError } from '../../model/failure.ts';

/** What went wrong, read off whatever Temporal wrapped it in. */
export interface Failure {
  type: FailureType | string;
  message: string;
  hint: string | undefined;
  /** tells failures of one type apart (model/failure.ts) */
  reason?: string;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) {
    if (error.cause instanceof TimeoutFailure) {
      return {
        type: 'ToolFailed',
        message: `the step ran out of time (${error.cause.timeoutType})`,
        hint: 'see the worker’s log; resume the runbook or start it again',
      };
    }
    return failureOf(error.cause);
  }
  if (error instanceof ApplicationFailure) {
    const [hint, reason] = (error.details ?? []).map(textOrNothing);
    // endWith has put the hint there, and would again.
    const message = hint === undefined ? error.message : withoutEnd(error.message, `\nHINT: ${hint}`);
    const known = { type: error.type ?? 'Unknown', message, hint };
    return reason === undefined ? known : { ...known, reason };
  }
  if (error instanceof HoldfastError) {
    return { type: error.type, message: error.message, hint: error.hint };
  }
  return {
    type: 'Unknown',
    message: error instanceof Error ? error.message : String(error),
    hint: undefined,
  };
}

const withoutEnd = (text: string, end: string) => (text.endsWith(end) ? text.slice(0, -end.length) : text);

/** Activities put the hint into the first detail, and the reason into the second. */
const textOrNothing = (detail: unknown) => (typeof detail === 'string' && detail !== '' ? detail : undefined);

export function parks(failure: Failure): boolean {
  return failure.type in FAILURES && FAILURES[failure.type as FailureType].parks;
}

/** What neither people nor another try can mend. */
export function isFinal(failure: Failure): boolean {
  return failure.type in FAILURES && !parks(failure);
}

export function textOf(failure: Failure): string {
  return formatFailure(failure.message, failure.hint);
}

/** The failure that ends a workflow: one type from the list, the hint beside the message. */
export function endWith(failure: Failure): ApplicationFailure {
  return ApplicationFailure.create({
    type: failure.type,
    message: textOf(failure),
    nonRetryable: true,
    details: failure.hint === undefined ? [] : [failure.hint],
  });
}

/** Runs pure code of the model inside a workflow, where only an ApplicationFailure ends the run. */
export function orEnd<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw endWith(failureOf(error));
  }
}
