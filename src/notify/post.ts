import { isLocal } from '../config/access.ts';
import { HoldfastError } from '../model/failure.ts';

const TIMEOUT_MS = 20_000;
/** Answers of a client's own fault that may be another's: a time-out, and too many requests. */
const PASSING = [408, 425, 429];

/** Sends JSON. */
export function postJson(
  channel: string,
  url: string,
  request: { body: string; headers?: Record<string, string> },
  signal: AbortSignal,
): Promise<void> {
  return call(
    channel,
    url,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...request.headers },
      body: request.body,
    },
    signal,
  );
}

/** Calls an address and leaves it at that. */
export const ping = (name: string, url: string, signal: AbortSignal): Promise<void> =>
  call(name, url, { method: 'GET' }, signal);

/** The address may be a secret: errors name the channel and the answer, nothing of either side. */
async function call(channel: string, url: string, request: RequestInit, signal: AbortSignal): Promise<void> {
  requireSafe(channel, url);
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let status: number;
  try {
    const answer = await fetch(url, {
      ...request,
      // An alert is for the address that was configured.
      redirect: 'manual',
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

/** What goes over a network is encrypted. */
function requireSafe(channel: string, url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isSafe =
    parsed?.protocol === 'https:' ||
    (parsed?.protocol === 'http:' && isLocal(parsed.hostname.replaceAll(/[[\]]/g, '')));
  if (isSafe) return;
  throw new HoldfastError('InvalidConfiguration', `the address of ${channel} is no https URL`, {
    hint: 'correct the secret that holds it; http is for loopback only',
  });
}
