import type { RunbookStatus, Step, StepState } from '../../../../src/model/runbook.ts';

export function stepOf(name: string, state: StepState, detail: string | null = null): Step {
  const ended = state === 'done' || state === 'failed';
  return {
    name,
    state,
    startedAt: state === 'pending' ? null : '2026-01-31T14:00:00Z',
    finishedAt: ended ? '2026-01-31T14:01:30Z' : null,
    detail,
  };
}

export function statusOf(change: Partial<RunbookStatus> = {}): RunbookStatus {
  return {
    workflowId: 'pitr/shop/20260131T140500Z',
    runbook: 'pointInTimeRecovery',
    database: 'shop',
    reason: 'INC-42',
    requestedBy: 'ana',
    outcome: 'running',
    steps: [],
    plan: null,
    waitingFor: null,
    decisions: [],
    instance: null,
    evidence: null,
    message: null,
    ...change,
  };
}
