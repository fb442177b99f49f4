import type { ExitCode } from './exit.ts';
import { exitCodeOfOutcome } from './exit.ts';
import { showLook } from './look.ts';
import { follow } from './observe.ts';
import type { StartedRun } from './runbook.ts';
import type { Session } from './session.ts';
import { formatStarted } from './view/started.ts';
import { watchRun } from './watch.ts';

/** Prints a started run's id and where to look at it. With `waiting`, programs get one answer only: the last. */
export async function announce(session: Session, started: StartedRun, waiting: boolean): Promise<void> {
  if (waiting && session.output === 'json') return;
  const view = await session.locate(started);
  session.print(view, formatStarted(view, session.again));
  if (waiting) process.stdout.write('\n');
}

/** `--wait`: follows a run until it has ended or a person has to do something; the exit code says which. */
export async function awaitRun(session: Session, workflowId: string): Promise<ExitCode> {
  const { client, output, again, readEvidence } = session;
  if (output === 'json') {
    return showLook(session, await follow(client, workflowId, { until: 'decision', readEvidence }));
  }
  const last = await watchRun(client, workflowId, { until: 'decision', readEvidence, again });
  return process.stdout.isTTY ? exitCodeOfOutcome(last.status.outcome) : showLook(session, last);
}
