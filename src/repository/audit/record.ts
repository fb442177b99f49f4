import type { AuditFinding, AuditReport } from '../../model/audit.ts';
import type { Problem } from '../../model/problem.ts';
import { AUDIT_KEY } from '../layout.ts';
import type { Repository } from '../repository.ts';

/** What the last audit has found, without its calendars. */
export type AuditRecord = Omit<AuditReport, 'calendars'>;

export async function writeAuditRecord(repository: Repository, report: AuditReport): Promise<void> {
  const { calendars: _, ...record } = report;
  await repository.put(AUDIT_KEY, JSON.stringify(record), { contentType: 'application/json' });
}

/** Null: there was no audit yet. Rejects with RepositoryUnavailable or RepositoryRefused. */
export function readAuditRecord(repository: Repository): Promise<AuditRecord | null> {
  return repository.getJson<AuditRecord>(AUDIT_KEY);
}

/** What is critical of a database; what is so of the whole repository is so of each. */
export function criticalOf(record: AuditRecord | null, database: string): AuditFinding[] {
  return criticalIn(record).filter((one) => one.database === null || one.database === database);
}

/** Critical findings as `status --all` shows problems: the audit's own run has told people of them. */
export function auditProblems(record: AuditRecord | null): Problem[] {
  return criticalIn(record).map(({ code, database, what, hint }) => ({
    ...{ key: `audit/${code}/${database ?? 'all'}/${what}`, database, severity: 'critical' },
    ...{ what, since: null, hint, told: 'all' },
  }));
}

/** With the time of the audit: it may have been long ago. */
function criticalIn(record: AuditRecord | null): AuditFinding[] {
  const critical = record?.findings.filter(({ severity }) => severity === 'critical') ?? [];
  return critical.map((one) => ({ ...one, what: `${one.what} (audit of ${record?.at})` }));
}
