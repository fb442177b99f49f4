import { type FailureType, HoldfastError } from '../model/failure.ts';
import type { Outcome } from '../model/runbook.ts';

/** Exit codes: part of the contract with scripts that call `holdfast`. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** wrong usage or configuration */
  usage: 2,
  /** waiting for a person's decision */
  waiting: 3,
  /** rejected, expired or cancelled */
  declined: 4,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_FAILURE: Partial<Record<FailureType, ExitCode>> = {
  InvalidInput: EXIT.usage,
  InvalidConfiguration: EXIT.usage,
  UnknownDatabase: EXIT.usage,
  UnknownTable: EXIT.usage,
  UnknownBackup: EXIT.usage,
  NotSupported: EXIT.usage,
};

export function exitCodeOfError(error: unknown): ExitCode {
  return error instanceof HoldfastError ? (BY_FAILURE[error.type] ?? EXIT.failed) : EXIT.failed;
}

const BY_OUTCOME: Record<Outcome, ExitCode> = {
  running: EXIT.done,
  completed: EXIT.done,
  'waiting-for-decision': EXIT.waiting,
  parked: EXIT.failed,
  failed: EXIT.failed,
  rejected: EXIT.declined,
  expired: EXIT.declined,
  cancelled: EXIT.declined,
};

export function exitCodeOfOutcome(outcome: Outcome): ExitCode {
  return BY_OUTCOME[outcome];
}
