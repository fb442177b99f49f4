import {
  isGrpcDeadlineError,
  isGrpcServiceError,
  ServiceError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { HoldfastError } from '../model/failure.ts';

/** A worker that runs answers a query well within this. */
export const ANSWER_WITHIN_MS = 5_000;

// Of gRPC's status codes (https://grpc.io/docs/guides/status-codes/).
const FAILED_PRECONDITION = 9;
const UNAVAILABLE = 14;
const NOT_FOUND = 5;

/** Whether nobody answered in time: no worker polls, or all are busy or gone. */
export function noAnswer(error: unknown): boolean {
  return (
    isGrpcDeadlineError(error) ||
    codeOf(error) === FAILED_PRECONDITION ||
    (error instanceof Error && error.name === 'WorkflowUpdateRPCTimeoutOrCancelledError')
  );
}

/** Whether the Temporal server itself is away for now; a watcher goes on. */
export function isAway(error: unknown): boolean {
  return isGrpcDeadlineError(error) || codeOf(error) === UNAVAILABLE;
}

function codeOf(error: unknown): number | null {
  if (isGrpcServiceError(error)) return error.code;
  return error instanceof Error && error.cause !== undefined ? codeOf(error.cause) : null;
}

/** A run that is not there, in words; any other error as it is. */
export function orUnknownRun(error: unknown, workflowId: string): unknown {
  return isNotFound(error) ? notThere(`there is no workflow ${workflowId}`, error) : error;
}

/** The same of a message: a run that has ended takes none. */
export function orClosedRun(error: unknown, workflowId: string): unknown {
  return isNotFound(error)
    ? notThere(`there is no running workflow ${workflowId}: there is none, or it has ended`, error)
    : error;
}

function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || codeOf(error) === NOT_FOUND;
}

function notThere(what: string, cause: unknown): HoldfastError {
  return new HoldfastError('InvalidInput', what, {
    hint: 'holdfast list shows the runs that there are',
    cause,
  });
}

/** An error of the Temporal server with what it says: the client's own message names only the call. */
export function inWords(error: unknown, address: string): unknown {
  if (!(error instanceof ServiceError)) return error;
  const why = error.cause?.message ?? error.message;
  return new HoldfastError('ConnectionFailed', `temporal server at ${address}: ${why}`, {
    hint: 'see whether it runs and is healthy: temporal operator cluster health',
    cause: error,
  });
}
