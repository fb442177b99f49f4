import type { TableComparison } from '../engines/contract/change.ts';
import type { ReplayResult } from '../engines/contract/restore.ts';
import type { Archived } from '../model/archive.ts';
import type { ApprovalPolicy } from '../model/decision.ts';
import type { EngineKind } from '../model/engine.ts';
import type { Check } from '../model/evidence.ts';
import type { ExportOrder } from '../model/export.ts';
import type { ConflictRule, Plan } from '../model/plan.ts';
import type { Target } from '../model/target.ts';

/** What a change of production has to know of the configuration. Read once; it is in the history from then on. */
export interface ChangeSettings {
  engine: EngineKind;
  approval: ApprovalPolicy;
  objectives: { rpoSeconds: number; rtoSeconds: number };
  noWorkerAfterMs: number;
  /** how long a worker may be silent before its step is given to another */
  lostAfterMs?: number;
  parkLimitMs: number;
  /** how long before a decision expires people are reminded; null: nobody is told of anything */
  remindMs: number | null;
}

/** The same of a runbook that makes an instance. */
export interface RecoverySettings extends ChangeSettings {
  site: string;
  /** where an instance may be when its provisioning was cut off */
  siteHosts: string[];
  instanceLifetimeMs: number;
  thaw: { lookEveryMs: number; timeLimitMs: number };
}

/** The chosen base and the proof of the logs up to the target. */
export interface Base {
  backup: string;
  serverMajor: number;
  databaseBytes: number;
  timeline: number;
  consistentAt: string;
  lastLog: string | null;
  /** logs between the base and the target, all present */
  logs: number;
  estimateSeconds: number;
  /** as the engine names them; null where the input named none */
  tables: string[] | null;
  notices: string[];
  /** where backup and logs are kept; absent in the history of a run that an earlier version began: the configured one */
  stanza?: string;
  /** of a base that is a dump: the logs that are replayed from it, from the first on up to `lastLog`; null: none */
  dumped?: { logs: { lineage: string; firstLog: string } | null };
  /** of a snapshot: the tool's own name of the backup that it is a copy of, in a repository of its own */
  snapshotOf?: string;
  /** its objects are in a class that has to be thawed before they can be read */
  archived?: Archived;
  /** what people have to know before the replay: what only that can tell, or what it cannot reach */
  beforeReplay?: string;
}

/** One instance as later steps name it; the rest is in its record on the host. */
export interface InstanceReference {
  id: string;
  site: string;
  host: string;
  expiresAt: string;
}

export interface ComparisonInput {
  instance: InstanceReference;
  database: string;
  base: Base;
  target: Target;
  replayed: ReplayResult;
  tables: string[];
  conflict: ConflictRule;
}

/** What the compare step shows beside the changes: checks that did not pass. */
export type CompareStepInput = ComparisonInput & {
  doubts: Check[];
  /** until when the instance stays from now on: people are about to be asked. ISO 8601 */
  expiresAt: string;
};

export interface Comparison {
  plan: Plan;
  comparisons: TableComparison[];
}

export interface ExportStepInput extends Omit<ComparisonInput, 'conflict'> {
  order: ExportOrder;
  /** only what this rule would bring back, by these comparisons; null: whole tables, production is not asked */
  rows: { conflict: ConflictRule; comparisons: TableComparison[] } | null;
  workflowId: string;
  /** until when the instance stays from now on, ISO 8601 */
  expiresAt: string;
}

export interface ImportStepInput extends ComparisonInput {
  comparisons: TableComparison[];
  /** how many rows beyond the plan the decision allowed */
  drift: number;
  planDigest: string;
  workflowId: string;
}
