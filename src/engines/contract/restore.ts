import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import type { Target } from '../../model/target.ts';
import type { ToolRepository } from './backup.ts';
import type { ShippedContent } from './ship.ts';

/** What a restore needs to know of the server that is to come up: read from the restored files themselves. */
export interface InstancePlace {
  /** the instance's own directory; data, sockets, logs and spool lie under it */
  directory: string;
  /** operating-system user of every process of the instance; null: the worker's own */
  user: string | null;
}

/** A base, with its place: files in a backup tool's repository, or dumps of ours. */
export type RestoreInput = RestoreFilesInput | RestoreDumpsInput;

export interface RestoreFilesInput {
  place: InstancePlace;
  repository: ToolRepository;
  stanza: string;
  backup: string;
  serverMajor: number;
  /** null: all */
  databases: string[] | null;
}

export interface RestoreDumpsInput {
  place: InstancePlace;
  backup: string;
  serverMajor: number;
  /** text of the backup's accounts; null: there is none in the backup */
  globals: string | null;
  /** every db of the backup */
  dumps: DumpSource[];
}

/** A db's dump from its first byte, as it lies in the repository. */
export interface DumpSource {
  database: string;
  open(signal: AbortSignal): Readable;
  sizeBytes: number;
}

export interface RestoreTablesInput {
  place: InstancePlace;
  serverMajor: number;
  /** the logical backup, as people call it */
  backup: string;
  /** of its snapshot */
  timeline: number;
  /** where the copy stands, for people and the evidence */
  position: string;
  /** how the superuser is called in the copy: as in production */
  user: string;
  /** the db that was dumped */
  database: string;
  /** as people name them; null: all of the db */
  tables: string[] | null;
  /** text of the backup's roles; null: there is none in the backup */
  globals: string | null;
  /** the dump from its first byte, as it lies in the repository. Opened more than once: its contents stand at its head */
  open(signal: AbortSignal): Readable;
  sizeBytes: number;
  /** further dbs of the same backup, restored as a whole into the same server */
  others?: DumpSource[];
}

export interface RestoredTables extends ReplayResult {
  /** the tables that were asked for, as `schema.table`; null: all of the db */
  named: string[] | null;
  /** all that have rows now: these, or their partitions and inheriting tables */
  tables: string[];
  notices: string[];
}

/** Logs, with their place: in a backup tool's repository, which fetches them itself, or shipped by us. */
export type ReplayInput = ReplayArchivedInput | ReplayShippedInput;

export interface ReplayShippedInput {
  place: InstancePlace;
  serverMajor: number;
  target: Target;
  /** where the base stands: a position in a log, and its GTIDs where the server has them */
  from: { position: string; gtid: string | null };
  /** every log from the base's position to the target, in order; none: the base alone reaches it */
  logs: ShippedContent[];
  database: string;
}

export interface ReplayArchivedInput {
  place: InstancePlace;
  repository: ToolRepository;
  stanza: string;
  serverMajor: number;
  target: Target;
  timeline: number;
  /** where the backup itself becomes consistent, and the last log known to be in the repository */
  consistentAt: string;
  lastLog: string | null;
  /** how the superuser is called in the restored server */
  user: string;
  database: string;
  /** it will become production: what it writes outlives the machine's crash */
  durable?: boolean;
}

/** A restored server that becomes production: its files are where they stay. */
export interface TakeOverInput {
  place: InstancePlace;
  /** what people call the database: its service is named so; left out: the stanza */
  name?: string;
  /** with credentials that can write */
  repository: ToolRepository;
  /** where it archives: new, so that nobody else does */
  stanza: string;
  serverMajor: number;
  user: string;
  database: string;
  /** how clients reach it */
  server: {
    listen: string;
    port: number;
    hba: string[];
    settings: Record<string, string | number | boolean>;
    tls: { certFile: string; keyFile: string } | null;
  };
}

export interface TakenOver {
  /** through its private socket, without a password */
  access: ServerAccess;
  systemIdentifier: string;
  /** the new one, and where it left the old one */
  timeline: number;
  switchedAt: string;
  dataDirectory: string;
  socketDirectory: string;
  /** a systemd unit for it, written beside the data */
  serviceFile: string;
  /** what people have to know: what of the old server did not come along */
  notices?: string[];
}

export interface ReplayResult {
  /** access to the paused, read-only server through its private socket */
  access: ServerAccess;
  /** `postgresql://user@/db?host=…` or `mysql://user@/db?socket=…`, without a password */
  url: string;
  /** where it stopped, for people and the evidence */
  position: string;
  /** the same for programs: an LSN, or `binlog.000004:1234` */
  lsn: string;
  /** of MySQL and MariaDB: every transaction that is in the copy; null: the server has no GTIDs */
  gtid?: string | null;
  lastTransactionAt: string | null;
  /** what people have to know of the logs that were replayed, for instance that they hold statements, not rows */
  logNotices?: string[];
}

export interface CheckInput {
  place: InstancePlace;
  serverMajor: number;
  restored: ServerAccess;
  /** null: nothing to compare with */
  production: ServerAccess | null;
  /** as `schema.table`, or `db.table` of MySQL; null: everything */
  tables: string[] | null;
  /** its pages and indexes were made on this site, from a dump: only what was dumped can be wrong */
  madeHere?: boolean;
}
