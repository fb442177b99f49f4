import { workflowInfo } from '@temporalio/workflow';
import type { Alert } from '../../model/alert.ts';
import type { DrillRecord } from '../../model/drill.ts';
import { formatDuration } from '../../model/duration.ts';
import type { RunbookStatus } from '../../model/runbook.ts';
import type { Verdict, Verification } from '../../model/verification.ts';

/** Of this run: what it is about is said once. */
function alertOf(
  { database, workflowId }: Pick<RunbookStatus, 'database' | 'workflowId'>,
  what: string,
  alert: Pick<Alert, 'severity' | 'title' | 'text' | 'hint'>,
): Alert {
  const { runId } = workflowInfo();
  return {
    ...alert,
    key: `${workflowId}/${runId}/${what}`,
    database,
    workflowId,
    at: new Date().toISOString(),
  };
}

/** A plan waits for people. */
export function decisionAlert(
  status: RunbookStatus,
  name: string,
  leftMs: number,
  when: 'waiting' | 'expiring',
): Alert {
  const { runbook, database, plan, reason, workflowId } = status;
  const title =
    when === 'waiting'
      ? `${runbook} of ${database} waits for a decision: ${name}`
      : `the decision on ${name} of ${database} expires in ${formatDuration(leftMs)}`;
  return alertOf(status, `${when}/${name}/${plan?.digest ?? ''}`, {
    severity: 'warning',
    title,
    text: `${plan?.summary ?? ''}\nfor: ${reason}`,
    hint: `holdfast approve ${workflowId} shows the plan and asks`,
  });
}

export function failureAlert(status: RunbookStatus): Alert {
  return alertOf(status, 'failed', {
    severity: 'critical',
    title: `${status.runbook} of ${status.database} failed`,
    ...wordsOf(status.message),
  });
}

/** A verification that found something else than the one before; one that fails is told each time. */
export function verdictAlert(
  status: RunbookStatus,
  tier: string,
  found: Pick<Verification, 'verdict' | 'reasons' | 'backup'>,
  before: Verdict | null,
): Alert {
  const { verdict, reasons, backup } = found;
  const was = before === null || before === verdict ? '' : `, and was ${before}`;
  return alertOf(status, `verdict/${tier}`, {
    severity: verdict === 'fail' ? 'critical' : verdict === 'pass' ? 'info' : 'warning',
    title: `the newest ${tier} backup of ${status.database} is verified: ${verdict}${was}`,
    text: reasons.join('\n') || `${backup} was restored and is what was backed up`,
    hint: verdict === 'pass' ? null : `holdfast status ${status.workflowId}`,
  });
}

/** A drill that did not come to its end, or took longer than the objective. */
export function drillAlert(record: DrillRecord): Alert {
  const { database, outcome, reasons } = record;
  const failed = outcome === 'failed';
  return alertOf(record, outcome, {
    severity: failed ? 'critical' : 'warning',
    title: failed ? `drill of ${database} failed` : `drill of ${database} missed the objective`,
    text: reasons.join('\n'),
    hint: `see holdfast report ${database}; try again: holdfast drill ${database}`,
  });
}

/** A step that an operator can mend. */
export function parkedAlert(status: RunbookStatus, step: string): Alert {
  return alertOf(status, `parked/${step}`, {
    severity: 'critical',
    title: `${status.runbook} of ${status.database} is parked in step ${step}`,
    ...wordsOf(status.message),
  });
}

/** A backup that did not come to be. */
export function jobAlert(type: string, database: string, message: string): Alert {
  return alertOf({ database, workflowId: workflowInfo().workflowId }, 'failed', {
    severity: 'critical',
    title: `${type} of ${database} failed`,
    ...wordsOf(message),
  });
}

function wordsOf(message: string | null): Pick<Alert, 'text' | 'hint'> {
  const [text = '', ...hints] = (message ?? '').split('\nHINT: ');
  return { text, hint: hints.length === 0 ? null : hints.join('; ') };
}
