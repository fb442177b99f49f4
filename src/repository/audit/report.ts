import type { LoadedConfig } from '../../config/load.ts';
import type { AuditReport } from '../../model/audit.ts';
import { desiredSettings } from '../bucket/desired.ts';
import type { Repository } from '../repository.ts';
import { audit } from './audit.ts';
import { type ReadOptions, readAuditFacts } from './read.ts';
import { findingsOfSettings } from './settings.ts';
import { sortFindings } from './words.ts';

/** Reads the repository live and audits it; what could not be read is among the findings. */
export async function auditRepository(
  loaded: LoadedConfig,
  repository: Repository,
  options: ReadOptions,
): Promise<AuditReport> {
  const { facts, settings, findings } = await readAuditFacts(loaded, repository, options);
  options.progress({ phase: 'playing a year forward' });
  const report = audit(facts);
  // Of a bucket whose rules nobody may read it is not known what they remove.
  const told = report.findings.filter(({ code }) => settings !== null || code !== 'never-expires');
  const ofBucket = settings === null ? [] : findingsOfSettings(settings, desiredSettings(loaded.config));
  return { ...report, findings: sortFindings([...findings, ...ofBucket, ...told]) };
}
