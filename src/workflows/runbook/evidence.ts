import { workflowInfo } from '@temporalio/workflow';
import type { ChangeSettings, RecoverySettings } from '../../activities/recovery-types.ts';
import type { ImportResult } from '../../engines/contract/change.ts';
import type { ExportedTable } from '../../engines/contract/read.ts';
import type { DisasterRecord } from '../../model/disaster.ts';
import type { Check, Evidence } from '../../model/evidence.ts';
import { control } from '../proxies.ts';
import { isDrill } from './drill.ts';
import type { Runbook } from './runbook.ts';

/** What the evidence says of a runbook; filled in as it happens, since what comes after may fail or be cancelled. */
export interface Findings {
  imported: ImportResult | null;
  exported: ExportedTable[] | null;
  /** what the last approval chose */
  chosen: Evidence['chosen'];
  checks: Check[];
  disaster?: DisasterRecord;
  objectives: Evidence['objectives'];
}

export const noFindings = (): Findings => ({
  ...{ imported: null, exported: null, chosen: null, checks: [] },
  objectives: { rpoSeconds: 0, rtoSeconds: 0 },
});

/** Reads the policy of a database, and begins. `asks`: people will be asked before production changes. */
export async function beginRecovery(
  runbook: Runbook,
  findings: Findings,
  { site, asks }: { site: string | undefined; asks: boolean },
): Promise<RecoverySettings> {
  const { database } = runbook.status;
  const settings = await control.describeRecovery({ database, site: site ?? null });
  begin(runbook, findings, settings, asks);
  return settings;
}

export function begin(runbook: Runbook, findings: Findings, settings: ChangeSettings, asks: boolean): void {
  findings.objectives = settings.objectives;
  runbook.begin(settings.engine, {
    approval: settings.approval,
    asks: asks && !isDrill(),
    parkLimitMs: settings.parkLimitMs,
    noWorkerRetryMs: settings.noWorkerAfterMs,
    // Absent in the history of a run that an earlier version began.
    remindMs: isDrill() ? null : (settings.remindMs ?? null),
  });
}

/** Leaves what a runbook did for an auditor; gives the key. */
export function leaveEvidence(runbook: Runbook, input: unknown, findings: Findings): Promise<string> {
  return control.writeEvidence({
    runId: workflowInfo().runId,
    input,
    status: runbook.status,
    ...findings,
    recoverySeconds: runbook.recoverySeconds(),
  });
}
