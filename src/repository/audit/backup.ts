import { FOLDERS, shippedLogOf, toolBackupFolder } from '../layout.ts';
import type { AuditedDatabase, AuditedNode, AuditedPolicy } from './facts.ts';

export type BackupKind = Exclude<AuditedNode['kind'], 'logs'>;

/** A backup that is there, or one that the schedules will make. */
export interface Backup {
  id: string;
  kind: BackupKind;
  startedAt: number;
  finishedAt: number;
  /** its end and its tier's retention */
  promisedUntil: number;
  /** without these it is worth nothing */
  needs: Backup[];
  /** what it needs too, and nobody knows of */
  lacks: string[];
  /** null: it will be made */
  node: AuditedNode | null;
}

export function retentionOf(policy: AuditedPolicy, kind: BackupKind): number {
  if (kind === 'logical') return policy.logicalMs;
  return kind === 'snapshot' ? policy.snapshotMs : policy.physicalMs;
}

/** A base of the tool. */
export const isBase = ({ kind }: Backup): boolean => kind === 'full' || kind === 'diff';

/** What logs are replayed from. A logical backup is one where it knows, or will know, where it stands in them. */
export const isReplayed = (backup: Backup, { shippedLockMs }: AuditedPolicy): boolean =>
  shippedLockMs === undefined
    ? isBase(backup)
    : backup.kind === 'logical' && (backup.node === null || backup.node.replayFrom !== undefined);

/** What will be made has no id yet. */
export const PLANNED = 'to be made';

/** The backups that are there. */
export function existingBackups({ nodes, policy }: AuditedDatabase): Backup[] {
  const byId = new Map<string, Backup>();
  for (const node of nodes) {
    const { id, kind, startedAt, finishedAt } = node;
    if (kind === 'logs') continue;
    const promisedUntil = finishedAt + retentionOf(policy, kind);
    byId.set(id, { id, kind, startedAt, finishedAt, promisedUntil, needs: [], lacks: [], node });
  }
  for (const backup of byId.values()) {
    for (const id of backup.node?.needs ?? []) {
      const need = byId.get(id);
      if (need === undefined || need === backup) backup.lacks.push(id);
      else backup.needs.push(need);
    }
  }
  return [...byId.values()];
}

/** Whether the tool knows of it where the database lives now: what a former stanza holds, nothing expires. */
export function isInStanza({ node }: Backup, stanza: string): boolean {
  const file = node?.versions.find(({ key }) => !isManifest(key));
  return file === undefined || file.key.startsWith(toolBackupFolder(stanza));
}

/** What the catalog reads at every step. */
export const isManifest = (key: string): boolean => key.startsWith(FOLDERS.manifest);

/** The record of a shipped log: the catalog lists its current versions, and reads the first. */
export const isLogRecord = (key: string): boolean =>
  key.startsWith(FOLDERS.log) && shippedLogOf(key)?.isRecord === true;

/** The backup that it builds on; itself for all others. */
export function rootOf(backup: Backup): Backup {
  let root = backup;
  for (let depth = 0; depth < 1_000; depth += 1) {
    const next = root.needs.find(isBase);
    if (next === undefined) break;
    root = next;
  }
  return root;
}
