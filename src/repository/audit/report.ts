import type { LoadedConfig } from '../../config/load.ts';
import type { Severity } from '../../model/alert.ts';
import type { AuditFinding, AuditReport } from '../../model/audit.ts';
import type { Repository } from '../repository.ts';
import { audit } from './audit.ts';
import { type ReadOptions, readAuditFacts } from './read.ts';

const RANK: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

/** Reads the repository live and audits it, with what could not be read among the findings. */
export async function auditRepository(
  loaded: LoadedConfig,
  repository: Repository,
  options: ReadOptions,
): Promise<AuditReport> {
  const { facts, findings } = await readAuditFacts(loaded, repository, options);
  options.progress({ phase: 'playing the calendar forward' });
  const report = audit(facts);
  return { ...report, findings: worstFirst([...findings, ...report.findings]) };
}

const worstFirst = (findings: readonly AuditFinding[]): AuditFinding[] =>
  findings.toSorted((a, b) => RANK[a.severity] - RANK[b.severity]);
