import { HoldfastError } from '../model/failure.ts';

const TIMEOUT_MS = 20_000;
/** Answers of a client's own fault that may be another's: a time-out, and too many requests. */
const PASSING = [408, 425, 429];

/** Sends JSON. The address may be a secret: errors name the channel and the answer, nothing of either side. */
export async function postJson(
  channel: string,
  url: string,
  request: { body: string; headers?: Record<string, string> },
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let status: number;
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...request.headers },
      body: request.body,
      redirect: 'error',
      signal: AbortSignal.any([signal, limit]),
    });
    await answer.body?.cancel();
    status = answer.status;
  } catch {
    signal.throwIfAborted();
    const why = limit.aborted ? `did not answer within ${TIMEOUT_MS / 1_000} s` : 'cannot be reached';
    throw new HoldfastError('ToolFailed', `${channel} ${why}`, {
      hint: 'check its address in the configuration; it is tried again',
      retryable: true,
    });
  }
  if (status >= 200 && status < 300) return;
  const retryable = status >= 500 || PASSING.includes(status);
  throw new HoldfastError('ToolFailed', `${channel} answered ${status}`, {
    hint: retryable ? 'it is tried again' : 'check its address and secret in the configuration',
    retryable,
  });
}
