import type { LifecycleRule } from '../../model/lifecycle.ts';
import { type Backup, isLogRecord, isManifest } from './backup.ts';
import type { AuditedNode, AuditedVersion } from './facts.ts';
import {
  type Ending,
  earlier,
  type Fate,
  type FatedVersion,
  fateOf,
  type Hold,
  NEVER,
  PAST,
  type Reader,
  type Store,
} from './fate.ts';

/** How long a backup, or a run of logs, serves. */
export interface Life {
  /** when it is damaged itself */
  sound: Ending;
  /** when something of it has to be thawed first */
  archived: Ending;
  /** when the catalog cannot read its manifest before a thaw */
  unlisted: Ending;
}

/** A lock that is extended at a moment. */
export interface Extension {
  at: number;
  until: number;
}

export interface World {
  store: Store;
  rulesFor(key: string): readonly LifecycleRule[];
}

/** What becomes of a node: it is sound for as long as each of its versions can be read. */
export function lifeOfNode(node: AuditedNode, world: World, extensions: readonly Extension[] = []): Life {
  let sound = node.missing.length > 0 ? PAST : NEVER;
  let [archived, unlisted] = [NEVER, NEVER];
  for (const version of node.versions) {
    const fate = fateOfVersion(version, node.readBy, world, extensions);
    sound = earlier(sound, fate.unreadable);
    archived = earlier(archived, fate.archived);
    if (isManifest(version.key)) unlisted = earlier(unlisted, fate.archived);
  }
  return { sound, archived, unlisted };
}

export function fateOfVersion(
  version: AuditedVersion,
  readBy: AuditedNode['readBy'],
  { store, rulesFor }: World,
  extensions: readonly Extension[] = [],
): Fate {
  const reader = readerOf(version, readBy);
  return extended(version, reader, { rules: rulesFor(version.key), store }, holdOf(version), extensions);
}

function readerOf({ key, under }: AuditedVersion, readBy: AuditedNode['readBy']): Reader {
  if (isManifest(key)) return 'manifest';
  // Listed by its key: gone under a marker, and read all the same under what was written over it.
  if (isLogRecord(key)) return under === 'version' ? 'version' : 'key';
  return readBy;
}

/** A lock that is extended keeps what can still be read then. */
export function extended(
  version: FatedVersion,
  reader: Reader,
  at: { rules: readonly LifecycleRule[]; store: Store },
  hold: Hold,
  extensions: readonly Extension[],
): Fate {
  let longer = hold;
  let fate = fateOf(version, reader, { ...at, hold });
  if (reader === 'key') return fate;
  for (const extension of extensions) {
    if (fate.unreadable.at <= extension.at) break;
    if (extension.until <= longer.until) continue;
    longer = { ...longer, until: extension.until };
    fate = fateOf(version, reader, { ...at, hold: longer });
  }
  return fate;
}

const holdOf = ({ lock, legalHold }: AuditedVersion): Hold => ({
  until: lock?.until ?? Number.NEGATIVE_INFINITY,
  legal: legalHold === true,
});

/** A backup with everything that it needs. */
export interface BackupLife extends Life {
  backup: Backup;
  /** when it cannot be restored any more, and whose damage that is */
  restorable: Ending;
  /** of what it needs, that which was sound and ends first */
  needed: { life: BackupLife; ending: Ending } | null;
  /** when it can be restored no more, or has to be thawed first */
  ready: number;
}

/** Follows what backups need: each need is looked at once. */
export function livesOf(
  backups: readonly Backup[],
  lifeOf: (backup: Backup) => Life,
): Map<Backup, BackupLife> {
  const lives = new Map<Backup, BackupLife>();
  const visit = (backup: Backup): BackupLife => {
    const known = lives.get(backup);
    if (known !== undefined) return known;
    const own = lifeOf(backup);
    const { sound, archived } = own;
    const life: BackupLife = { ...own, backup, restorable: sound, needed: null, ready: 0 };
    lives.set(backup, life);
    if (backup.lacks.length > 0) life.restorable = PAST;
    life.ready = Math.min(archived.at, life.restorable.at);
    for (const need of backup.needs.map(visit)) {
      life.restorable = earlier(life.restorable, need.restorable);
      life.ready = Math.min(life.ready, need.ready);
      for (const one of [{ life: need, ending: need.sound }, need.needed]) {
        if (one === null || one.ending.at === Number.NEGATIVE_INFINITY) continue;
        if (life.needed === null || one.ending.at < life.needed.ending.at) life.needed = one;
      }
    }
    return life;
  };
  for (const backup of backups) visit(backup);
  return lives;
}
