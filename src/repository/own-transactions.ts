import type { OwnTransaction } from '../engines/contract/read.ts';
import type { Evidence } from '../model/evidence.ts';
import { mapBounded } from './bounded.ts';
import { evidenceFolder } from './layout.ts';
import type { Repository } from './repository.ts';

/** The clocks of the bucket and of whoever asks may differ. */
const CLOCKS_DIFFER_MS = 5 * 60_000;

/** The imports and undos that runbooks have done since then, as their evidence has them. */
export async function readOwnTransactions(
  repository: Repository,
  database: string,
  since: Date,
  signal: AbortSignal,
): Promise<OwnTransaction[]> {
  const keys: string[] = [];
  // Evidence is written after the commit.
  for await (const { key, lastModified } of repository.list(evidenceFolder(database), signal)) {
    if (Date.parse(lastModified) >= since.getTime() - CLOCKS_DIFFER_MS) keys.push(key);
  }
  const all = await mapBounded(keys, 8, (key) => repository.getJson<Evidence>(key));
  return all.flatMap((evidence) => (evidence === null ? [] : ownTransactionOf(evidence)));
}

function ownTransactionOf({ workflowId, imported, status, writtenAt }: Evidence): OwnTransaction[] {
  const { transaction } = (imported ?? {}) as { transaction?: unknown };
  const from = status.steps.find(({ startedAt }) => startedAt !== null)?.startedAt;
  if (typeof transaction !== 'string' || from == null) return [];
  return [{ transaction, by: workflowId, from, to: writtenAt }];
}
