import { HoldfastError } from '../model/failure.ts';
import { withoutPasswords } from '../model/redact.ts';

/** EndpointFailed that no time mends, unless `retryable` says so. */
export function endpointFailed(
  message: string,
  hint: string,
  options: { retryable?: boolean; cause?: unknown } = {},
): HoldfastError {
  const { retryable = false, cause } = options;
  return new HoldfastError('EndpointFailed', message, { hint, retryable, cause });
}

/** An error of a program that a user gave: EndpointFailed with its tail, without what looks like a password. */
export function programFailed(error: unknown, hint: string): unknown {
  if (!(error instanceof HoldfastError)) return error;
  return endpointFailed(withoutPasswords(error.message), hint, { retryable: error.retryable, cause: error });
}
