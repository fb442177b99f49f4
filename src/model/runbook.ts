import type { Plan, PlanRule } from './plan.ts';
import type { Progress } from './progress.ts';

export const OUTCOMES = [
  'running',
  'waiting-for-decision',
  'parked',
  'completed',
  'failed',
  'rejected',
  'expired',
  'cancelled',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export type StepState = 'pending' | 'running' | 'done' | 'failed' | 'skipped' | 'waiting' | 'parked';

/** One visible stage of a runbook. Times are ISO 8601 with an offset. */
export interface Step {
  name: string;
  state: StepState;
  startedAt: string | null;
  finishedAt: string | null;
  detail: string | null;
  /** how long it waited, parked, for somebody to mend what was wrong; left out: it never did */
  parkedSeconds?: number;
  /** from the pending activity's heartbeat; filled in by the client, a query cannot see it */
  progress?: Progress;
}

/** What a step took, without the time that it was parked; null: it is not over. */
export function secondsOf({ startedAt, finishedAt, parkedSeconds = 0 }: Step): number | null {
  if (startedAt === null || finishedAt === null) return null;
  return (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000 - parkedSeconds;
}

export interface DecisionRecord {
  /** name of the decision: `import`, `switch` */
  name: string;
  by: string;
  /** what the server knows of the sender, where it knows something; `by` is only what the client says */
  identity: string | null;
  action: 'approve' | 'reject';
  at: string;
  plan: string;
  /** of an approval: the rule that it chose, the plan's own where it named none; and the rows beyond the plan that it allowed */
  conflict?: PlanRule;
  drift?: number;
  comment?: string;
  /** set where it did not count, and why: a stale digest, the requester, a person who had decided already */
  refused?: string;
}

/** The contract of query `status` and of `holdfast status <workflow id> --output json`. */
export interface RunbookStatus {
  workflowId: string;
  runbook: string;
  database: string;
  reason: string;
  requestedBy: string;
  outcome: Outcome;
  steps: Step[];
  plan: Plan | null;
  waitingFor: string | null;
  decisions: DecisionRecord[];
  instance: { id: string; url: string | null; expiresAt: string } | null;
  evidence: string | null;
  /** why it failed, is parked or was refused, in the two-line form with HINT */
  message: string | null;
}
