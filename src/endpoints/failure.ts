import { HoldfastError } from '../model/failure.ts';

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

/** Without the passwords of connection strings, whatever program printed them. */
export function withoutPasswords(text: string): string {
  return text
    .replace(/(\/\/[^\s:/@]*):\S+@/g, '$1:[redacted]@')
    .replace(/\b(\w*(?:password|secret|token)\w*\s*[=:]\s*)(?:'[^']*'|"[^"]*"|\S+)/gi, '$1[redacted]');
}
