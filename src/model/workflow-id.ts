import { type LostLogs, uniqueGapName } from './gap.ts';
import type { Bases } from './tier.ts';

/** What a run's id starts with, by workflow type. */
export const ID_PREFIXES = {
  pointInTimeRecovery: 'pitr',
  selectiveTableRestore: 'table',
  fullDisasterRecovery: 'disaster',
  dailyVerify: 'verify',
  restoreDrill: 'drill',
  undoImport: 'undo',
  logicalBackup: 'backup/logical',
  physicalBackup: 'backup/physical',
  monthlySnapshot: 'backup/snapshot',
} as const;

/** `pitr/shop/20260131T140500Z`: unique for a database and second, so that two starts by accident collide. */
export function workflowIdFor(type: keyof typeof ID_PREFIXES, database: string, at: Date): string {
  return `${ID_PREFIXES[type]}/${database}/${stampOf(at)}`;
}

/** `20260131T140500Z`. */
export function stampOf(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** The one full backup that a gap in the logs asks for, whoever finds it. */
export const gapBackupId = (database: string, gap: LostLogs, tier: Bases = 'physical'): string =>
  `${ID_PREFIXES[`${tier}Backup`]}/${database}/gap-${uniqueGapName(gap)}`;

/** Temporal's own limit is 1,000 bytes. */
const LONGEST_ID = 900;

/** One run delivers the alert of a key: a second one with the same is refused by the server. */
export const alertWorkflowId = (key: string): string => `alert/${encodeURI(key)}`.slice(0, LONGEST_ID);

/**
 * The id of the one run that may change a production database: whoever holds it is the only one. Its memo
 * `holder` names the runbook that started it.
 */
export const changeWorkflowId = (database: string): string => `change/${database}`;
export const CHANGE_HOLDER_MEMO = 'holder';
