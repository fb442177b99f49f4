import type { PhysicalBackup } from '../engines/contract/backup.ts';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { mapBounded } from '../repository/bounded.ts';
import { lockToolBackup, lockToolFiles } from '../repository/lock-backup.ts';
import type { Repository } from '../repository/repository.ts';
import { lockUntil } from '../repository/retention.ts';
import { databaseOf } from './access.ts';
import type { Dependencies } from './dependencies.ts';

const LOCKS_AT_ONCE = 16;

/** Until when a backup is locked; null where it is not: the configuration has no lock, or the store refuses. */
export interface Locked {
  lockedUntil: string | null;
  notices: string[];
}

/** Until when something is locked that is kept until then; null where the configuration has no lock, or it is over. */
export function lockDate(deps: Dependencies, keptUntil: Date): string | null {
  const isLocked = deps.config.config.repository.lock !== undefined && keptUntil.getTime() > Date.now();
  return isLocked ? keptUntil.toISOString() : null;
}

/** Locks objects of ours in their versions. */
export async function lockObjects(
  repository: Repository,
  objects: readonly (StoredObject | null)[],
  until: string | null,
  run: Run,
): Promise<void> {
  if (until === null) return;
  run.progress({ phase: 'locking the backup' });
  const there = objects.filter((object) => object !== null);
  await mapBounded(there, LOCKS_AT_ONCE, (object) => lockUntil(repository, object, until, run.signal));
}

/**
 * Locks a complete physical backup until its end and its retention, and what it depends on for as long. A store that
 * refuses does not take the backup away: it is there, and the audit finds it without its lock.
 */
export async function lockPhysical(
  deps: Dependencies,
  repository: Repository,
  where: { database: string; stanza: string },
  backup: PhysicalBackup,
  run: Run,
): Promise<Locked> {
  const { retention, tiers } = databaseOf(deps, where.database);
  const until = Date.parse(backup.finishedAt) + retention.physicalMs;
  const lockedUntil = lockDate(deps, new Date(until));
  if (lockedUntil === null) return { lockedUntil, notices: [] };
  // Other differentials follow until the next full: locked for them too, a full is not locked again after each.
  const gapMs = Math.min(tiers.physical?.fullGapMs ?? 0, retention.physicalMs);
  const longer = new Date(until + gapMs).toISOString();
  const lock = (id: string, until: string) =>
    lockToolBackup(repository, { ...where, id }, { least: lockedUntil, until }, run);
  try {
    await lock(backup.id, lockedUntil);
    for (const id of backup.dependsOn) await lock(id, longer);
    await lockToolFiles(repository, where.stanza, lockedUntil, run.signal);
    return { lockedUntil, notices: [] };
  } catch (error) {
    if (!(error instanceof HoldfastError && error.type === 'RepositoryRefused')) throw error;
    deps.logger.warn({ database: where.database, problem: error.message }, 'a backup could not be locked');
    return { lockedUntil: null, notices: [`its objects could not be locked: ${error.message}`] };
  }
}
