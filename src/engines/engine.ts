import type { Readable } from 'node:stream';
import type { RepositoryConfig } from '../config/schema.ts';
import type { ServerAccess } from '../model/access.ts';
import type {
  BackupKind,
  Fingerprints,
  LogPositions,
  Manifest,
  StoredObject,
  TableFingerprint,
} from '../model/backup.ts';
import type { EngineKind } from '../model/engine.ts';
import type { Check } from '../model/evidence.ts';
import type { ConflictRule, PlanRule, TableChange, UndoRule } from '../model/plan.ts';
import type { Run } from '../model/progress.ts';
import type { TableRelation } from '../model/relation.ts';
import type { Target } from '../model/target.ts';

/**
 * The engine contract. An engine is plain code: it takes an AbortSignal and a progress callback (`Run`),
 * knows nothing of Temporal, and throws HoldfastError. Everything here is safe to run again after a kill
 * at any point: that is said at each method.
 */

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
  failure: { at: string; log: string | null; message: string } | null;
  switched: boolean;
}

/** What a restore needs to know of the server that is to come up: read from the restored files themselves. */
export interface InstancePlace {
  /** the instance's own directory; data, sockets, logs and spool lie under it */
  directory: string;
  /** operating-system user of every process of the instance; null: the worker's own */
  user: string | null;
}

export interface RestoreInput {
  place: InstancePlace;
  repository: ToolRepository;
  stanza: string;
  backup: string;
  serverMajor: number;
  /** null: all */
  databases: string[] | null;
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
  others?: Pick<RestoreTablesInput, 'database' | 'open' | 'sizeBytes'>[];
}

export interface RestoredTables extends ReplayResult {
  /** the tables that were asked for, as `schema.table`; null: all of the db */
  named: string[] | null;
  /** all that have rows now: these, or their partitions and inheriting tables */
  tables: string[];
  notices: string[];
}

export interface ReplayInput {
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
  /** `postgresql://user@/db?host=…`, without a password */
  url: string;
  /** where it stopped, for people and the evidence */
  position: string;
  lsn: string;
  lastTransactionAt: string | null;
}

/** A table under one rule: its exact effects, and over which keys. */
export interface RuleComparison {
  conflict: PlanRule;
  change: TableChange;
  /** sha256 over the affected keys in order, and those left alone; part of the plan's digest */
  keysSha256: string;
  /** why this rule cannot be chosen for this table; null: it can */
  refusal: string | null;
  /** what is true under this rule only */
  notices: string[];
}

/** A table on both sides: what the compare found, enough to plan and to import without looking again. */
export interface TableComparison {
  table: string;
  /** every rule, in the order of CONFLICT_RULES (of an undo: UNDO_RULES) */
  rules: RuleComparison[];
  /** a folder on the instance's disk with the keys that differ; empty for an undo, which reads its own data again */
  keysFolder: string;
  /** production had no such table any more: it is to be made again */
  gone?: true;
  /** what is true under every rule */
  notices: string[];
}

/** What an import did to a table. The change is what was approved; rows beyond it are those of the allowed drift. */
export type AppliedChange = TableChange & {
  inserted: number;
  updated: number;
  deleted: number;
  /** approved rows that needed nothing any more */
  vanished: number;
  /** rows changed beyond the approved ones, within the drift that the decision allowed */
  drifted: number;
  /** the table that was made: of `side-by-side`, or one that was gone; else null */
  created: string | null;
};

export interface ImportResult {
  tables: AppliedChange[];
  /** the transaction that did it, so that a retry can see whether it committed */
  transaction: string;
  alreadyDone: boolean;
  /** what it takes to take it back; null where nothing was changed */
  undo: UndoReference | null;
}

/** Where the undo data of an import is, for the evidence. */
export interface UndoReference {
  /** folder in the repository */
  folder: string;
  expiresAt: string;
  sizeBytes: number;
}

/**
 * What takes one table's part of an import back. Rows that the import inserted or updated are known as
 * untouched by their `xmin`, which is the import's transaction: so of inserted rows only the keys are kept.
 */
export interface UndoTable {
  /** `schema.table` that was changed */
  table: string;
  /** made by the import, to be dropped by the undo: the table itself, or a copy beside it */
  created: string | null;
  /** what that is known by, however it is called by now */
  createdId: string | null;
  /** the identifying columns; null: without a key, rows are told apart by all their columns */
  key: string[] | null;
  /** the columns of `replaced`, in order */
  columns: string[];
  /** lines of COPY text, zstd: the keys of inserted rows. Null: none */
  inserted: StoredObject[] | null;
  /** lines of COPY text, zstd: `u` or `d`, then the columns as they were. Null: none */
  replaced: StoredObject[] | null;
  counts: { inserted: number; updated: number; deleted: number };
}

export interface UndoData extends UndoReference {
  server: ServerMark;
  tables: UndoTable[];
}

/** A moment of one server's history: a server restored to before it, or another one, never saw what follows it. */
export interface ServerMark {
  systemIdentifier: string;
  timeline: number;
  lsn: string;
}

/** Keeps what a retry of an import has to find, in the repository and before the commit. */
export interface ImportJournal {
  /** every record of this runbook so far, oldest first */
  read(): Promise<ImportRecord[]>;
  write(record: ImportRecord): Promise<void>;
}

/** Written before the commit: with it, the transaction's fate and all undo data are known to any later attempt. */
export interface ImportRecord {
  transaction: string;
  planDigest: string;
  result: ImportResult;
  undo: UndoData | null;
}

/** Where an import keeps what it replaces: encrypted, under an attempt-unique folder. */
export interface UndoStore {
  readonly folder: string;
  readonly expiresAt: string;
  readonly sink: ObjectSink;
}

export interface CompareInput {
  production: ServerAccess;
  restored: ServerAccess;
  /** `schema.table` or `db.schema.table` as the input named them */
  tables: string[];
  /** the instance's directory: key files are written under it, attempt-unique */
  place: InstancePlace;
  serverMajor: number;
  /** tables of `side-by-side` are called `<table>_restored_<copyId>` */
  copyId: string;
}

/** What every change to production needs, an import or its undo. */
export interface ChangeInput {
  comparisons: TableComparison[];
  planDigest: string;
  journal: ImportJournal;
  /** names the lock that keeps two imports into one database apart */
  database: string;
  lockTimeoutMs: number;
  /** where what is replaced goes */
  undo: UndoStore;
}

export interface ImportInput extends CompareInput, ChangeInput {
  /** the rule that was approved */
  conflict: ConflictRule;
  /** how many rows beyond the approved keys may be changed */
  drift: number;
}

export interface UndoPlanInput {
  production: ServerAccess;
  /** the committed import that is taken back */
  record: ImportRecord;
  /** for the keys of rows that others have changed since, and for what takes the undo itself back */
  undo: UndoStore;
  read(object: StoredObject, signal: AbortSignal): Readable;
  /** another undo of it that was about to commit, where nothing more is known of that */
  earlier?: { by: string; transaction: string };
}

export interface UndoInput extends UndoPlanInput, ChangeInput {
  conflict: UndoRule;
}

export interface UndoVerifyInput extends Omit<UndoPlanInput, 'undo'> {
  /** the rule that was approved */
  conflict: UndoRule;
  /** of the undo */
  transaction: string;
}

export interface ExportInput {
  restored: ServerAccess;
  place: InstancePlace;
  serverMajor: number;
  tables: string[];
  format: 'csv' | 'dump';
  /**
   * csv only: the rows that this rule would bring back, by these comparisons; production is asked how its tables
   * are made. Null: whole tables, without production
   */
  rows: { conflict: ConflictRule; comparisons: TableComparison[]; production: ServerAccess } | null;
  /** a file of this name, with the stream's content; appears whole or not at all */
  put(name: string, content: Readable): Promise<ExportedFile>;
}

export interface ExportedFile {
  /** key in the repository, or path on the site's host */
  place: string;
  sizeBytes: number;
  sha256: string;
}

export interface ExportedTable extends ExportedFile {
  /** `schema.table`; several in one dump: joined by a comma and a space */
  table: string;
  /** null: not counted, in a dump */
  rows: number | null;
  /** what the file lacks, such as large objects; runs from before it was told have none */
  notices?: string[];
}

/** One archived log, in the tool's own repository. */
export interface LogFile {
  name: string;
  /** relative to {@link ToolRepository.path} */
  path: string;
}

export interface FindInput {
  repository: ToolRepository;
  stanza: string;
  serverMajor: number;
  segmentBytes: number;
  /** ISO 8601: only what committed from `since` to `until` counts */
  since: string;
  until: string;
  /** the logs to read, in order; where one is missing between two of them, the reading starts anew */
  logs: LogFile[];
  /** every place where the table's data was known to lie, oldest first */
  relations: TableRelation[];
  /** what Holdfast itself has committed in production */
  own: OwnTransaction[];
  /** an empty directory for fetched logs, a few at a time: removed by the caller */
  directory: string;
  /** the candidates with the most rows are kept, and fewer deleted and updated rows than `minRows` make none */
  limit: number;
  minRows: number;
}

/** An import or undo. Transaction ids come again, also after a recovery: it committed between two moments, ISO 8601. */
export interface OwnTransaction {
  /** with its epoch, as pg_current_xact_id gives it */
  transaction: string;
  /** the runbook's workflow id */
  by: string;
  from: string;
  to: string;
}

export interface Found {
  /** oldest first */
  candidates: Candidate[];
  /** the candidate that is most probably the accident */
  likeliest: Candidate | null;
  /** commits in the logs that were read: the first and the last, whatever they did */
  firstCommitAt: string | null;
  lastCommitAt: string | null;
  /** what a person has to know about the numbers */
  notices: string[];
}

export interface KnownRelations {
  relations: TableRelation[];
  /** dbs that could not be read, and why */
  refused: { db: string; why: string }[];
}

/** A transaction that may have been the accident. */
export interface Candidate {
  xid: string;
  /** of its commit */
  at: string;
  lsn: string;
  timeline: number;
  deleted: number;
  updated: number;
  inserted: number;
  /** what it did to the table as a whole; `rewritten`: VACUUM FULL, CLUSTER or an ALTER TABLE, no row lost by itself */
  whole: 'truncated' | 'dropped' | 'rewritten' | null;
  /** of how many of a partitioned table's leaves `whole` is true; null for a table of one piece, and without `whole` */
  partitions: { touched: number; all: number } | null;
  /** the runbook of Holdfast whose import or undo it is */
  by?: string;
  /** just before it, ready for pointInTimeRecovery */
  target: Extract<Target, { lsn: string }>;
}

export interface CountInput {
  /** `schema.table`; null: the ten largest */
  tables: string[] | null;
  /** rows of these that are of a span of time: ISO 8601, `from` without, `to` with */
  recent: { table: string; column: string; from: string; to: string }[];
  /** how long one count may take before it is an estimate */
  patienceMs: number;
}

export interface Counts {
  /** `rows` null: no such table, or nothing is known of it; not `exact`: the server's own estimate */
  tables: { table: string; rows: number | null; exact: boolean }[];
  /** null: it took too long, or there is no such table */
  recent: { table: string; rows: number | null }[];
}

export interface Engine {
  readonly kind: EngineKind;

  /** Reads version, identity and sizes. Throws ConnectionFailed, AuthenticationFailed. */
  inspect(access: ServerAccess, run: Run): Promise<ServerFacts>;

  /**
   * The tables that these names mean, as `schema.table`. Those of `known` (manifests have them) may be gone in
   * production. Throws UnknownTable with the nearest names. Reads only.
   */
  resolveTables(
    access: ServerAccess,
    tables: readonly string[],
    run: Run,
    known?: readonly TableRelation[],
  ): Promise<string[]>;

  /**
   * Where the data of every ordinary table lies now, of every db or of those that are named: kept in manifests, for
   * `find`. A db that refuses does not keep the others from being read. Reads only.
   */
  listRelations(access: ServerAccess, run: Run, databases?: readonly string[]): Promise<KnownRelations>;

  /** Dumps every database and what a dump leaves out, streaming into the sink. Nothing touches the disk. */
  dump(
    input: { access: ServerAccess; sink: ObjectSink; fingerprints: boolean },
    run: Run,
  ): Promise<LogicalDump>;

  /** Takes a physical backup on the database's host. An unfinished one of an earlier attempt is the tool's to resume. */
  backup(input: BackupInput, run: Run): Promise<PhysicalBackup>;

  /** All physical backups that the tool knows in the repository; works without the server. Empty where there are none. */
  listBackups(
    input: { repository: ToolRepository; stanza: string; systemUser: string | null },
    run: Run,
  ): Promise<PhysicalBackup[]>;

  /** A round of the watcher: archiver's state, a heartbeat commit, and a log switch when the last is older than `maxAgeMs / 2`. */
  watchLog(
    input: { database: string; access: ServerAccess; dataDirectory: string; maxAgeMs: number },
    run: Run,
  ): Promise<LogReport>;

  /** Commits a heartbeat and closes the current log, so that every moment before now can be recovered once it is archived. */
  closeLog(
    access: ServerAccess,
    run: Run,
  ): Promise<{ at: string; position: string; log: string; timeline: number; xid?: string }>;

  /** Restores files into an instance's place. A second run goes on from what the first left. */
  restore(input: RestoreInput, run: Run): Promise<void>;

  /**
   * Makes an isolated server with the definitions of a logical backup and the rows of these tables. A second run
   * keeps what is complete. Throws UnknownTable, BackupUnusable, CheckFailed, NotEnoughSpace.
   */
  restoreTables(input: RestoreTablesInput, run: Run): Promise<RestoredTables>;

  /** Starts the restored server isolated, replays to the target, pauses there and asserts the position. */
  replay(input: ReplayInput, run: Run): Promise<ReplayResult>;

  /**
   * Ends the recovery of an isolated copy that is paused at its target, on a timeline of its own: it stays isolated.
   * Done already is success.
   */
  promote(place: InstancePlace, run: Run): Promise<{ timeline: number }>;

  /**
   * Makes a server that {@link replay} brought to its target, and whose files were moved since, production: starts it
   * with what clients need, ends its recovery on a new timeline, and archives into its own stanza. A second run goes on
   * from where the first was killed; done already is success. Throws InstanceLost, ToolFailed, RepositoryUnavailable,
   * RepositoryRefused, NotSupported, NotEnoughSpace.
   */
  takeOver(input: TakeOverInput, run: Run): Promise<TakenOver>;

  /**
   * Who a server is: to recognise one that was left behind. `writable`: it is no standby, whatever its settings say to
   * its clients. Reads only. Throws ConnectionFailed where none answers.
   */
  identify(
    access: ServerAccess,
    run: Run,
  ): Promise<{ systemIdentifier: string; timeline: number; writable: boolean }>;

  /**
   * Commits a transaction that leaves nothing, in a session as applications have it, also through a pooler, and says on
   * which server. Throws CheckFailed where nothing can be written, ConnectionFailed, AuthenticationFailed.
   */
  probe(access: ServerAccess, run: Run): Promise<{ systemIdentifier: string; timeline: number }>;

  /** Integrity of the restored copy, limited to these tables where there are any, and schema difference to production. */
  check(
    input: {
      place: InstancePlace;
      serverMajor: number;
      restored: ServerAccess;
      production: ServerAccess | null;
      tables: string[] | null;
      /** its pages and indexes were made on this site, from a dump: only what was dumped can be wrong */
      madeHere?: boolean;
    },
    run: Run,
  ): Promise<Check[]>;

  /** What an import would do, under every rule. Reads only, on both sides. */
  compare(input: CompareInput, run: Run): Promise<TableComparison[]>;

  /** Does it: one transaction, nothing beyond the approved keys and drift. Safe to repeat: the journal knows a committed one. */
  import(input: ImportInput, run: Run): Promise<ImportResult>;

  /** Looks again after an import: every approved row is there. */
  verifyImport(input: ImportInput, run: Run): Promise<Check[]>;

  /**
   * What taking an import back would do, under every undo rule. Reads only in production, save for temporary tables of
   * its session; the keys of rows that others have changed since go to `undo`.
   */
  planUndo(input: UndoPlanInput, run: Run): Promise<TableComparison[]>;

  /** Takes it back: one transaction, exactly what was planned, and it can be taken back itself. Safe to repeat, as an import. */
  undo(input: UndoInput, run: Run): Promise<ImportResult>;

  /**
   * Looks again: nothing of the import is left as it made it, save what has to stay, and what the undo wrote is what
   * was there before. Reads only.
   */
  verifyUndo(input: UndoVerifyInput, run: Run): Promise<Check[]>;

  /** Writes rows, or whole tables, of the restored copy to files. Production is not changed. */
  exportTables(input: ExportInput, run: Run): Promise<ExportedTable[]>;

  /** Committed transactions in these logs that deleted, changed, truncated, dropped or rewrote a table. */
  find(input: FindInput, run: Run): Promise<Found>;

  /** Ends every process of an instance. Not-found is success. */
  stop(place: InstancePlace, run: Run): Promise<void>;

  /** Whether the restored server of this place runs and answers; starts it again where its process ended. */
  ensureRunning(place: InstancePlace, run: Run): Promise<void>;

  /** RESTORE.md of a backup: the plain commands that restore it with the tools alone. */
  instructions(manifest: Manifest, repository: RepositoryConfig, stanza: string): string;

  /** How many rows tables have, exactly where that does not take too long. Reads only. */
  countRows(access: ServerAccess, input: CountInput, run: Run): Promise<Counts>;

  /** Whether a query's one row is true; null: it gave no such row. Reads only. */
  assertSql(
    access: ServerAccess,
    sql: string,
    options: { timeoutMs: number },
    run: Run,
  ): Promise<boolean | null>;

  /** Row counts and checksums of a database on a server, by the same hash as its backups, and its canonical schema. */
  fingerprint(
    access: ServerAccess,
    options: { hash: string; tables: string[] | null },
    run: Run,
  ): Promise<{ schema: string; schemaSha256: string; tables: TableFingerprint[] }>;
}
