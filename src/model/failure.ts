/**
 * Every way in which Holdfast fails, by name. Temporal histories, the CLI and tests refer to these names.
 * `retryable` is decided where the fact is known; `parks` marks what an operator can mend while the runbook
 * keeps its instance and its replayed logs.
 */
export const FAILURES = {
  InvalidInput: { retryable: false, parks: false },
  InvalidConfiguration: { retryable: false, parks: false },
  UnknownDatabase: { retryable: false, parks: false },
  UnknownTable: { retryable: false, parks: false },
  UnknownBackup: { retryable: false, parks: false },
  NotSupported: { retryable: false, parks: false },
  TargetNotRecoverable: { retryable: false, parks: false },
  TargetNotReached: { retryable: false, parks: false },
  LogGap: { retryable: false, parks: false },
  BackupFailed: { retryable: true, parks: false },
  BackupUnusable: { retryable: false, parks: false },
  ChecksumMismatch: { retryable: false, parks: false },
  CheckFailed: { retryable: false, parks: false },
  DatabaseBusy: { retryable: false, parks: false },
  PlanChanged: { retryable: false, parks: false },
  DecisionRefused: { retryable: false, parks: false },
  InstanceLost: { retryable: false, parks: false },
  ToolMissing: { retryable: false, parks: true },
  ToolFailed: { retryable: true, parks: true },
  NotEnoughSpace: { retryable: false, parks: true },
  AuthenticationFailed: { retryable: false, parks: true },
  PermissionDenied: { retryable: false, parks: true },
  ConnectionFailed: { retryable: true, parks: true },
  RepositoryUnavailable: { retryable: true, parks: true },
  RepositoryRefused: { retryable: false, parks: true },
  LockNotAvailable: { retryable: true, parks: true },
  StillWritable: { retryable: false, parks: true },
  EndpointFailed: { retryable: true, parks: false },
  NoWorker: { retryable: false, parks: true },
} as const satisfies Record<string, { retryable: boolean; parks: boolean }>;

export type FailureType = keyof typeof FAILURES;

/** Tells failures of one type apart where something else is to be done: `drift`, more rows than were approved. */
export type FailureReason = 'drift';

/**
 * The one error class of the engines, the repository and the CLI. Activities turn it into an
 * ApplicationFailure of the same type. `message` says in lower case what happened, `hint` what to do;
 * neither may hold a password, a connection string or row data.
 */
export class HoldfastError extends Error {
  readonly type: FailureType;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly reason: FailureReason | undefined;

  constructor(
    type: FailureType,
    message: string,
    options: { hint?: string; retryable?: boolean; reason?: FailureReason; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HoldfastError';
    this.type = type;
    this.hint = options.hint;
    this.retryable = options.retryable ?? FAILURES[type].retryable;
    this.reason = options.reason;
  }
}

/** The two-line form shown to people: what happened, then `HINT:` what to do. */
export function formatFailure(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message}\nHINT: ${hint}`;
}
