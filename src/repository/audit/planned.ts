import type { LifecycleRule } from '../../model/lifecycle.ts';
import { FOLDERS, logFolder, toolArchiveFolder, toolBackupFolder } from '../layout.ts';
import type { Backup, BackupKind } from './backup.ts';
import { DAY_MS, type Horizon } from './calendar.ts';
import type { AuditedDatabase, AuditFacts } from './facts.ts';
import { type Ending, earlier, type FatedVersion, type Hold, NEVER, NO_HOLD, type Reader } from './fate.ts';
import { type Extension, extended, type Life, type World } from './life.ts';

const GIB = 2 ** 30;
const SMALL = 16_384;

/** An object of what will be made, and the rules that it will meet. */
export interface PlannedObject {
  version: FatedVersion;
  reader: Reader;
  rules: readonly LifecycleRule[];
}
export type PlannedKind = BackupKind | 'logs';

/** What a backup of each kind consists of: something large, something small, and its manifest. */
export function plannedObjects(
  { name, stanza, policy }: AuditedDatabase,
  archive: string,
  { rulesFor }: World,
): Record<PlannedKind, PlannedObject[]> {
  const object = (folder: string, sizeBytes: number, storageClass: string, reader: Reader) => {
    const key = `${folder}of`;
    const version = { key, versionId: null, writtenAt: 0, sizeBytes, storageClass };
    return {
      version: { ...version, noncurrentSince: null, under: null },
      reader,
      rules: rulesFor(folder),
    };
  };
  const backup = (folder: string, storageClass: string, reader: Reader) => [
    object(folder, GIB, storageClass, reader),
    object(folder, SMALL, storageClass, reader),
    object(`${FOLDERS.manifest}${name}/`, SMALL, 'STANDARD', 'manifest'),
  ];
  const base = backup(toolBackupFolder(stanza), 'STANDARD', 'key');
  const tool = archive === '' ? toolArchiveFolder(stanza) : toolArchiveFolder(archive);
  const logs =
    policy.shippedLockMs === undefined
      ? [object(tool, 2 ** 20, 'STANDARD', 'key')]
      : // Records are listed by their keys, what they name is read in its version.
        [
          object(logFolder(name), SMALL, 'STANDARD', 'key'),
          object(logFolder(name), 2 ** 20, 'STANDARD', 'version'),
        ];
  return {
    full: base,
    diff: base,
    logical: backup(`${FOLDERS.logical}${name}/`, policy.logicalClass, 'version'),
    snapshot: backup(`${FOLDERS.snapshot}${name}/`, policy.snapshotClass, 'version'),
    logs,
  };
}

/** What locks are set on what will be made. */
export function plannedHold(
  { startedAt, promisedUntil }: Pick<Backup, 'startedAt' | 'promisedUntil'>,
  { objectLock }: AuditFacts['bucket'],
  isLocked: boolean,
): Hold {
  if (objectLock === null) return NO_HOLD;
  const { retention } = objectLock;
  const byDefault = retention === null ? Number.NEGATIVE_INFINITY : startedAt + retention.days * DAY_MS;
  return { until: isLocked ? Math.max(byDefault, promisedUntil) : byDefault, legal: false };
}

export function plannedLife(
  objects: readonly PlannedObject[],
  writtenAt: number,
  at: { hold: Hold; world: World; extensions: readonly Extension[] },
): Life {
  let [sound, archived, unlisted] = [NEVER, NEVER, NEVER];
  for (const { version, reader, rules } of objects) {
    const store = at.world.store;
    const fate = extended({ ...version, writtenAt }, reader, { rules, store }, at.hold, at.extensions);
    sound = earlier(sound, fate.unreadable);
    archived = earlier(archived, fate.archived);
    if (reader === 'manifest') unlisted = earlier(unlisted, fate.archived);
  }
  return { sound, archived, unlisted };
}

/**
 * What becomes of the logs of each day to come: those of one day meet a rule at the same midnight. `lockMs`: of those that
 * we ship, each is locked for so long.
 */
export function plannedLogs(
  objects: readonly PlannedObject[],
  horizon: Horizon,
  { world, bucket, lockMs }: { world: World; bucket: AuditFacts['bucket']; lockMs: number | null },
): Life[] {
  return Array.from({ length: horizon.days }, (_, day) => {
    const writtenAt = horizon.midnight + (day + 1) * DAY_MS - 1;
    const promised = { startedAt: writtenAt, promisedUntil: writtenAt + (lockMs ?? 0) };
    const hold = plannedHold(promised, bucket, lockMs !== null);
    return plannedLife(objects, writtenAt, { hold, world, extensions: [] });
  });
}

/** Of each day on: the first end of logs of it or of a later day. */
export function firstEndings(endings: readonly Ending[]): Ending[] {
  const firsts = [...endings];
  for (let day = firsts.length - 2; day >= 0; day -= 1) {
    firsts[day] = earlier(firsts[day] as Ending, firsts[day + 1] as Ending);
  }
  return firsts;
}
