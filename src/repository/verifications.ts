import type { BackupTier } from '../model/backup.ts';
import type { Step } from '../model/runbook.ts';
import type { Verdict, Verification } from '../model/verification.ts';
import { mapBounded } from './bounded.ts';
import { verificationFolder, verificationKey } from './layout.ts';
import type { Repository } from './repository.ts';

/**
 * `verification/<database>/<backup id>.json`: what the newest verification of one backup found. Of a tier without any
 * backup it is `no-<tier>.json`, and `backup` is empty.
 */
export interface VerificationRecord extends Verification {
  formatVersion: 1;
  database: string;
  tier: BackupTier;
  workflowId: string;
  /** of the newest backup of its tier; false: of one that was named */
  newest: boolean;
  /** of this backup, with their times */
  steps: Step[];
}

const READS_AT_ONCE = 16;

/** The newest verification of a backup stands for it; earlier ones stay as versions. Gives the key. */
export async function writeVerification(repository: Repository, record: VerificationRecord): Promise<string> {
  const key = verificationKey(record.database, record.backup === '' ? `no-${record.tier}` : record.backup);
  await repository.put(key, `${JSON.stringify(record, null, 2)}\n`, { contentType: 'application/json' });
  return key;
}

/** What the verification before this one found of the newest backup of a tier; null: there was none. */
export async function verdictBefore(
  repository: Repository,
  { database, tier, workflowId }: Pick<VerificationRecord, 'database' | 'tier' | 'workflowId'>,
): Promise<Verdict | null> {
  const records = await readVerifications(repository, database);
  const before = records.find((one) => one.tier === tier && one.newest && one.workflowId !== workflowId);
  return before?.verdict ?? null;
}

/** Of every backup that was ever verified, newest first. */
export async function readVerifications(
  repository: Repository,
  database: string,
): Promise<VerificationRecord[]> {
  const keys: string[] = [];
  for await (const { key } of repository.list(verificationFolder(database))) {
    if (key.endsWith('.json')) keys.push(key);
  }
  const records = await mapBounded(keys, READS_AT_ONCE, (key) => repository.getJson<VerificationRecord>(key));
  return records
    .filter((record): record is VerificationRecord => record?.formatVersion === 1)
    .sort((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
}
