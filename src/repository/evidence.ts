import type { Evidence } from '../model/evidence.ts';
import { evidenceKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** Leaves what a runbook did for an auditor; returns the key. Writing again adds a version, none is lost. */
export async function writeEvidence(
  repository: Repository,
  evidence: Evidence,
  options: { lockedUntil?: string | null } = {},
): Promise<string> {
  const key = evidenceKey(evidence.status.database, evidence.workflowId);
  await repository.put(key, `${JSON.stringify(evidence, null, 2)}\n`, {
    contentType: 'application/json',
    lockedUntil: options.lockedUntil ?? null,
  });
  return key;
}

/** Null where this run has left none. */
export async function readEvidence(
  repository: Repository,
  database: string,
  workflowId: string,
): Promise<Evidence | null> {
  return repository.getJson<Evidence>(evidenceKey(database, workflowId));
}
