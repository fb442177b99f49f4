import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import type { BackupKind, Fingerprints, LogPositions, StoredObject } from '../../model/backup.ts';

/** The repository as a backup tool needs it, secrets resolved. */
export interface ToolRepository {
  /** `host[:port]` of the S3 endpoint; null is AWS's own for the region */
  endpoint: string | null;
  region: string;
  bucket: string;
  /** path within the bucket, without slashes at its ends: `pgbackrest` or `prefix/pgbackrest` */
  path: string;
  pathStyle: boolean;
  caFile: string | null;
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string | null } | null;
  kmsKeyId: string | null;
  /** passphrase of the tool's own encryption; null: none */
  cipher: string | null;
}

/** Where objects of a logical backup go; the repository implements it. */
export interface ObjectSink {
  /**
   * Stores a stream under the backup's attempt-unique prefix, split into several objects where it is beyond
   * one object's limit. Completes only when the stream ends; a destroyed stream leaves no object and no upload.
   */
  put(name: string, content: Readable, options: { expectedBytes: number | null }): Promise<StoredObject[]>;
}

export interface ServerFacts {
  version: string;
  /** PostgreSQL's major version; of MySQL and MariaDB the series as a number: 8.0 is 800, 10.11 is 1011 */
  major: number;
  systemIdentifier: string;
  /** data bytes of the whole server, and of each db that can be connected to and is not a template */
  totalBytes: number;
  databases: { name: string; bytes: number }[];
}

export interface DumpedObject {
  name: string;
  objects: StoredObject[];
  schema: StoredObject;
  fingerprints: Fingerprints | null;
}

export interface LogicalDump {
  facts: ServerFacts;
  positions: LogPositions;
  databases: DumpedObject[];
  globals: StoredObject | null;
  tools: Record<string, string>;
  notices: string[];
}

/** One physical backup as its tool reports it. */
export interface PhysicalBackup {
  id: string;
  kind: BackupKind;
  startedAt: string;
  finishedAt: string;
  /** bytes this backup added to the repository */
  sizeBytes: number;
  /** bytes on disk after a restore */
  databaseBytes: number;
  dependsOn: string[];
  positions: LogPositions;
  serverMajor: number;
  toolVersion: string;
  systemIdentifier: string;
  /** the tool found page checksum errors */
  error: boolean;
}

export interface BackupInput {
  access: ServerAccess;
  repository: ToolRepository;
  stanza: string;
  dataDirectory: string;
  systemUser: string;
  kind: BackupKind;
  retentionFull: number;
  /** fulls whose logs are kept from their beginning on */
  retentionArchive: number;
}

/** Where a snapshot lies: all of it under one folder of the repository, a tool's tree with it. */
export interface SnapshotPlace {
  /** within the repository's prefix, with a slash at its end */
  folder: string;
  /** an archive class that its objects have to be thawed from; null: they can be read at once */
  storageClass: string | null;
}

export interface WatchInput {
  database: string;
  access: ServerAccess;
  dataDirectory: string;
  /** the server's log on this host, where its own collector is off; null: not known */
  serverLog: string | null;
  maxAgeMs: number;
}

/** A round of the log watcher at one database. */
export interface LogReport {
  database: string;
  at: string;
  /** the heartbeat's commit and its position; null where the server could not be asked */
  heartbeat: { at: string; position: string; log: string; timeline: number; xid?: string } | null;
  lastArchivedLog: string | null;
  lastArchivedAt: string | null;
  /** logs that are complete and wait for the archiver */
  waiting: number;
  /** their names; other files that wait are counted only */
  ready: string[];
  failure: { at: string; log: string | null; message: string } | null;
  switched: boolean;
}
