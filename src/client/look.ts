import { type ExitCode, exitCodeOfOutcome } from './exit.ts';
import type { Observed } from './observe.ts';
import { terminalWidth } from './output.ts';
import type { Session } from './session.ts';
import { formatStatus } from './view/status.ts';

/** Prints a look at a run, and gives the exit code of its outcome. Jobs show their result: they have no plan. */
export function showLook(session: Session, { status, activities, result }: Observed): ExitCode {
  const text = formatStatus({
    status,
    activities,
    speed: null,
    now: new Date(),
    width: terminalWidth(),
    options: session.again,
    result,
  });
  session.print(isStatus(result) || result === null ? status : { ...status, result }, text);
  return exitCodeOfOutcome(status.outcome);
}

/** A runbook returns its own status, which is printed already. */
function isStatus(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'steps' in result && 'decisions' in result;
}
