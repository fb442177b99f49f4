import { shellQuote, style } from '../output.ts';
import type { StartedRun } from '../runbook.ts';

/** A run that was just started, and where it can be looked at. */
export interface StartedView extends StartedRun {
  /** its page in the Temporal UI; null where no UI is known */
  page: string | null;
  /** the command of Temporal's own command line that shows it */
  temporal: string;
}

export function formatStarted(started: StartedView, again: readonly string[]): string {
  const tail = again.map((option) => ` ${shellQuote(option)}`).join('');
  const lines = [
    `${style('bold', 'started')}   ${started.workflowId}`,
    `follow    holdfast status ${shellQuote(started.workflowId)} --watch${tail}`,
  ];
  if (started.page !== null) lines.push(`page      ${started.page}`);
  lines.push(`temporal  ${started.temporal}`);
  return lines.join('\n');
}
