import { type AuditResult, type AuditSummary, summarize } from '../model/audit-result.ts';
import { writeAuditRecord } from '../repository/audit/record.ts';
import { auditRepository } from '../repository/audit/report.ts';
import { lastResult } from '../watchdog/last-result.ts';
import { withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { measureSeverities } from './measuring.ts';
import { asActivity } from './run.ts';

export interface Audited {
  found: AuditSummary;
  /** what the last run returned; null: there was none */
  before: AuditResult | null;
  /** somebody hears of findings */
  tells: boolean;
}

/** What the audit does outside of its workflow. */
export const createAuditActivities = (deps: Dependencies) => ({
  /** Reads and audits the whole repository, and leaves what it has found there for those who read nothing else. */
  async auditRepository(_: object): Promise<Audited> {
    return asActivity(async (run) => {
      const { config } = deps.config;
      const now = new Date();
      const report = await withRepository(deps, 'restore', (repository) =>
        auditRepository(deps.config, repository, { ...run, now, thorough: false }),
      );
      measureSeverities(deps.metrics, 'holdfast_audit_findings', report.findings);
      deps.metrics.set('holdfast_audit_last_run_timestamp_seconds', {}, now.getTime() / 1_000);
      const found = summarize(report, Object.keys(config.databases).length);
      await withRepository(deps, 'backup', (repository) => writeAuditRecord(repository, report));
      return {
        found,
        before: await lastResult<AuditResult>(deps.client, 'repositoryAudit'),
        tells: config.notify.channels.length > 0,
      };
    });
  },
});
