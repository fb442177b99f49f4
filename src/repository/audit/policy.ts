import type { DatabaseView } from '../../config/describe.ts';
import type { RepositoryConfig } from '../../config/schema.ts';
import { classOf } from '../../config/storage-class.ts';
import { shippedUntil } from '../lifecycle/days.ts';
import type { AuditedPolicy } from './facts.ts';

/** What the configuration promises of a database. */
export function policyOf(database: DatabaseView, repository: RepositoryConfig): AuditedPolicy {
  const { tiers, retention, bases } = database;
  const { logical, physical, snapshot, log } = tiers;
  return {
    windowMs: log === null || tiers[bases] === null ? null : retention.logMs,
    ...(bases === 'logical' ? { shippedLockMs: shippedUntil(database, 0).getTime() } : {}),
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
