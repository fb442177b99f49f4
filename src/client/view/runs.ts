import type { Outcome } from '../../model/runbook.ts';
import { formatTable, formatTime } from '../output.ts';
import type { RunRow } from '../runs.ts';
import { formatTook } from './duration.ts';
import { styleOutcome } from './status.ts';

const SHORT: Partial<Record<Outcome, string>> = { 'waiting-for-decision': 'DECIDE' };

/** Runs as rows; the id comes last because it is the longest and what people copy. */
export function formatRuns(runs: readonly RunRow[], now: Date): string {
  return formatTable(
    [{ head: 'started' }, { head: 'took', align: 'right' }, { head: 'outcome' }, { head: 'id' }],
    runs.map((run) => [
      formatTime(run.startedAt),
      formatTook(run.startedAt, run.finishedAt, now),
      styleOutcome(run.outcome, SHORT[run.outcome] ?? run.outcome),
      run.workflowId,
    ]),
  );
}
