import type { DisasterRecord } from './disaster.ts';
import type { PlanRule } from './plan.ts';
import type { RunbookStatus } from './runbook.ts';

/** `evidence/<database>/<workflow id>.json`: what a runbook leaves for an auditor. */
export interface Evidence {
  formatVersion: 1;
  workflowId: string;
  runId: string;
  input: unknown;
  status: RunbookStatus;
  checks: Check[];
  /** what the last approval chose; null where nothing was approved */
  chosen: { conflict: PlanRule; drift: number } | null;
  imported: unknown;
  /** the files of an export: `{table, place, rows, sizeBytes, sha256, notices}` each; null: nothing was exported */
  exported: unknown;
  /** of a disaster recovery: what was lost, who fenced, the new server, and what was achieved */
  disaster?: DisasterRecord;
  objectives: { rpoSeconds: number; rtoSeconds: number };
  /** seconds from the start to the end of the last step, without the time that people took: waited for, or parked */
  recoverySeconds: number;
  writtenAt: string;
}

export interface Check {
  name: string;
  verdict: 'pass' | 'fail' | 'inconclusive';
  detail: string;
}
