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
  return (record?.findings ?? []).filter(
    (one) => one.severity === 'critical' && (one.database === null || one.database === database),
  );
}

/** Critical findings as `status --all` shows problems: the audit's own run has told people of them. */
export function auditProblems(record: AuditRecord | null): Problem[] {
  return (record?.findings ?? [])
    .filter(({ severity }) => severity === 'critical')
    .map(({ code, database, what, hint }) => ({
      ...{ key: `audit/${code}/${database ?? 'all'}/${what}`, database, severity: 'critical' },
      ...{ what: `${what} (audit of ${record?.at})`, since: null, hint, told: 'all' },
    }));
}
