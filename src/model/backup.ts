import type { EngineKind } from './engine.ts';

export type Tier = 'log' | 'logical' | 'physical' | 'snapshot';
export type BackupTier = Exclude<Tier, 'log'>;
export type BackupKind = 'full' | 'diff';

/** One object of a backup, fixed to its version: a delete marker or a newer version must not stop a restore. */
export interface StoredObject {
  key: string;
  versionId: string | null;
  sizeBytes: number;
  sha256: string;
}

/** What a table held in the backup's own snapshot. */
export interface TableFingerprint {
  /** `schema.table` in the form of model/table.ts */
  table: string;
  rows: number;
  /** sum of the row hashes, so that the order of the rows plays no part; decimal text */
  checksum: string;
}

export interface Fingerprints {
  /** name of the row hash, for instance `hash_record_extended+sum`; compare only what has the same name */
  hash: string;
  /** exact: of one snapshot, comparable to equality. bounds: of a running server, counts before and after */
  precision: 'exact' | 'bounds';
  /** sha256 of the canonical schema text */
  schemaSha256: string;
  tables: TableFingerprint[];
}

/** Start and stop of a backup in the log. For a logical backup both are the snapshot's position. */
export interface LogPositions {
  timeline: number | null;
  start: string | null;
  stop: string | null;
  /** first and last log that the backup itself needs to become consistent */
  startLog: string | null;
  stopLog: string | null;
  /** of MySQL and MariaDB: every transaction that is in the snapshot, as a GTID set; null: the server has none. Absent: another engine's */
  gtid?: string | null;
  /** of MySQL and MariaDB: the moment of the snapshot by the server's clock, ISO 8601 */
  at?: string;
}

/** One database of a server in a logical backup: one object (or several parts of it) each. */
export interface DumpedDatabase {
  name: string;
  objects: StoredObject[];
  fingerprints: Fingerprints | null;
  /** the canonical schema, gzip-free text, as an object of its own */
  schema: StoredObject;
}

/**
 * `manifest/<database>/<backup id>.json`, written last: a backup without a manifest does not exist.
 * For the physical tier the tool's own tree is the truth; the manifest mirrors the tool's `info`.
 */
export interface Manifest {
  formatVersion: 1;
  id: string;
  database: string;
  engine: EngineKind;
  tier: BackupTier;
  kind: BackupKind;
  startedAt: string;
  finishedAt: string;
  /** bytes in the repository */
  sizeBytes: number;
  /** bytes of the database as it will lie on disk after a restore */
  databaseBytes: number;
  /** ids of backups without which this one cannot be restored */
  dependsOn: string[];
  lockedUntil: string | null;
  /** from when on lifecycle rules may have removed its objects: it is out of the catalog then. Absent: a tool's, or older */
  expiresAt?: string;
  /** of the snapshot tier: the backup that it is a copy of */
  copyOf?: { tier: Exclude<BackupTier, 'snapshot'>; id: string };
  serverVersion: string;
  systemIdentifier: string | null;
  /** of the physical tier: where the tool keeps it; absent where that is the stanza of the configuration */
  stanza?: string;
  tools: Record<string, string>;
  encryption: { kmsKeyId: string | null; repositoryCipher: boolean };
  positions: LogPositions;
  databases: DumpedDatabase[];
  /** roles, grants and tablespaces: what a dump of one database leaves out */
  globals: StoredObject | null;
  /** where the tables lay (model/relation.ts), as an object of its own; null where that could not be read, absent in old manifests */
  relations?: StoredObject | null;
  instructions: StoredObject | null;
  /** said in every plan that uses this backup, for instance that there are tablespaces or large objects */
  notices: string[];
  /** the activity attempt and workflow that made it */
  madeBy: { workflowId: string; runId: string };
}

/** The contract of `holdfast catalog`: one row. */
export interface CatalogBackup {
  id: string;
  tier: BackupTier;
  kind: BackupKind;
  startedAt: string;
  finishedAt: string;
  sizeBytes: number;
  dependsOn: string[];
  lockedUntil: string | null;
  /** a person holds it, whatever its lock says; absent: it was not asked for, or nobody does */
  legalHold?: true;
  verified: { verdict: 'pass' | 'fail' | 'inconclusive'; at: string } | null;
}

/** A span to which we can recover; `from` equals `to` for a backup without usable logs after it. */
export interface RecoveryInterval {
  from: string;
  to: string;
}

/** Consecutive logs that are missing between archived ones. */
export interface LogGap {
  /** of logs that we ship: a number that stands for the server that wrote them */
  timeline: number;
  firstMissing: string;
  lastMissing: string;
  count: number;
  /** times of the last archived log before and the first after, where known */
  after: string | null;
  before: string | null;
  /** the first base that needs nothing of it and nothing before it; null: there is none, and no moment after it is recoverable */
  baseAfter?: string | null;
  /** a person has taken note of it; absent: nobody has */
  acknowledged?: { by: string; at: string; reason: string };
}

/** The contract of `holdfast catalog --output json`. */
export interface Catalog {
  database: string;
  backups: CatalogBackup[];
  intervals: RecoveryInterval[];
  gaps: LogGap[];
  lastRecoverableAt: string | null;
  rpoSeconds: number | null;
}
