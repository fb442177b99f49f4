import type { DatabaseView } from '../../config/describe.ts';
import type { RepositoryConfig } from '../../config/schema.ts';
import { classOf } from '../../config/storage-class.ts';
import type { AuditedPolicy } from './facts.ts';

/** What the configuration promises of a database. */
export function policyOf({ tiers, retention }: DatabaseView, repository: RepositoryConfig): AuditedPolicy {
  const { logical, physical, snapshot, log } = tiers;
  return {
    windowMs: log === null || physical === null ? null : retention.logMs,
    logicalMs: retention.logicalMs,
    physicalMs: retention.physicalMs,
    snapshotMs: retention.snapshotMs,
    fulls: physical?.full ?? [],
    diffs: physical?.diff ?? [],
    logicals: logical?.schedule ?? [],
    snapshots: snapshot !== null,
    retentionFull: physical?.retentionFull ?? 2,
    retentionArchive: physical?.retentionArchive ?? 2,
    lock: repository.lock?.mode ?? null,
    logicalClass: classOf(repository, 'logical') ?? 'STANDARD',
    snapshotClass: classOf(repository, 'snapshot') ?? 'STANDARD',
  };
}
