import { temporal } from '@temporalio/proto';

/**
 * A history as it is kept for test/replay: without the names of the machine that ran it, which a replay does not ask for.
 * Not JSON: the SDK's own conversion to it fails on histories fetched by the client (SDK 1.24).
 */
export function encodeHistory(history: temporal.api.history.v1.IHistory): Uint8Array {
  for (const event of history.events ?? []) forgetMachine(event);
  return temporal.api.history.v1.History.encode(history).finish();
}

function forgetMachine(part: unknown): void {
  if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part)) return;
  const fields = part as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string') forgetMachine(value);
    else if (name === 'stackTrace') fields[name] = '';
    // Workers, and the queues of their caches, are called `<pid>@<host>`.
    else fields[name] = value.replace(/^\d+@\S+/, 'worker');
  }
}
