import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { sendDecision } from '../src/client/runbook.ts';
import type { RunbookStatus } from '../src/model/runbook.ts';

const POLL_MS = 100;

/** Approves a runbook's plan as soon as it is there, and waits for its end; an abort ends it. */
export async function approveAtOnce(
  client: Client,
  workflowId: string,
  signal: AbortSignal,
): Promise<RunbookStatus> {
  const handle = client.workflow.getHandle(workflowId);
  let ended = false;
  const result = (handle.result() as Promise<RunbookStatus>).finally(() => {
    ended = true;
  });
  result.catch(() => {});
  // A client that still waits when its connection is closed would throw where nobody catches it.
  const stop = () => void handle.terminate('interrupted').catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  while (!ended) {
    // Before its first task has ended, and on a busy server now and then, a run cannot be asked.
    const status = await handle.query<RunbookStatus>('status').catch(() => null);
    if (status !== null && status.waitingFor !== null && status.plan !== null) {
      await sendDecision(client, workflowId, { by: 'bench', action: 'approve', plan: status.plan.digest });
      break;
    }
    await sleep(POLL_MS);
  }
  const status = await result.finally(() => signal.removeEventListener('abort', stop));
  if (status.outcome !== 'completed') throw new Error(`the runbook ended as ${status.outcome}`);
  return status;
}
