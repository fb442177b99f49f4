import type { LifecycleRule } from '../../model/lifecycle.ts';
import type { BucketSettings, LockMode } from '../bucket/settings.ts';

/** One version of an object as the audit reads it; times are milliseconds. */
export interface AuditedVersion {
  /** relative to the repository's prefix */
  key: string;
  versionId: string | null;
  writtenAt: number;
  sizeBytes: number;
  storageClass: string;
  /** since when a newer version or a delete marker lies on top; null: it is the current one */
  noncurrentSince: number | null;
  /** what lies on top of it; null: nothing */
  under: 'marker' | 'version' | null;
  /** a repair has put a copy of it back on top */
  repaired?: boolean;
  /** `undefined`: not asked */
  lock?: { mode: LockMode; until: number } | null;
  legalHold?: boolean;
  /** the key that it is encrypted with; null: with none of KMS; `undefined`: not asked */
  kmsKeyId?: string | null;
  encrypted?: boolean;
}

/** A thing that can be restored, or that a restore needs. */
export interface AuditedNode {
  /** unique within its database: the backup's id, or `logs <first>..<last>` */
  id: string;
  kind: 'full' | 'diff' | 'logs' | 'logical' | 'snapshot';
  startedAt: number;
  finishedAt: number;
  /** ids of nodes without which it is worth nothing */
  needs: string[];
  /**
   * How it is read: a tool reads the current version of a key, so that a delete marker is its end; ours are read in
   * their versions, and end when those are removed for good
   */
  readBy: 'key' | 'version';
  versions: AuditedVersion[];
  /** keys that it should have and has not */
  missing: string[];
  /** logs only: numbers of the first and last one, and the timeline; without holes */
  segments?: Archive & { timeline: number; first: number; last: number };
  /** bases only: the logs that a replay from it begins with, and needs to become consistent */
  replayFrom?: Archive & { timeline: number; first: number; stop: number };
}

/** Which of the database's archives, `<stanza>/<version>-<n>` or a lineage of shipped logs: numbers and timelines of two say nothing about each other. */
interface Archive {
  archive?: string;
}

/** What the configuration promises of a database, and how what is to come will be made. Times are milliseconds. */
export interface AuditedPolicy {
  /** null: no logs are archived */
  windowMs: number | null;
  logicalMs: number;
  physicalMs: number;
  snapshotMs: number;
  /** cron expressions, UTC; empty: none are made */
  fulls: string[];
  diffs: string[];
  logicals: string[];
  /** one a month */
  snapshots: boolean;
  /** the tool's own expiry, at the end of every full */
  retentionFull: number;
  retentionArchive: number;
  /** lock dates are set, of this mode; null: none are */
  lock: LockMode | null;
  /** logs are shipped, each with a lock of this length, and replayed from logical backups; absent: the server archives them */
  shippedLockMs?: number;
  /** class that logical backups and snapshots are written in */
  logicalClass: string;
  snapshotClass: string;
}

export interface AuditedDatabase {
  name: string;
  stanza: string;
  policy: AuditedPolicy;
  nodes: AuditedNode[];
}

/** Everything that the audit is about. Pure data: nothing in it is read again. */
export interface AuditFacts {
  /** milliseconds */
  now: number;
  repository: { bucket: string; prefix: string; region: string };
  bucket: Pick<BucketSettings, 'versioning' | 'objectLock'>;
  /** the rules that are really there */
  rules: LifecycleRule[];
  /** the key of the configuration; null: none is set */
  kmsKeyId: string | null;
  /** what KMS says of each key that was found; absent: it was not asked, or cannot be */
  keys: Record<string, 'enabled' | 'disabled' | 'pending-deletion' | 'not-found'>;
  databases: AuditedDatabase[];
  /** files that the tool reads at every step: `archive.info`, `backup.info` and their copies */
  toolFiles: AuditedVersion[];
  /** what belongs to nothing above */
  orphans: { versions: AuditedVersion[]; why: string; database: string | null }[];
  looked: { versions: number; markers: number; bytes: number; headed: number };
}
