import type { RepositoryConfig } from '../config/schema.ts';
import type { ServerAccess } from '../model/access.ts';
import type { Manifest, TableFingerprint } from '../model/backup.ts';
import type { EngineKind } from '../model/engine.ts';
import type { Check } from '../model/evidence.ts';
import type { Run } from '../model/progress.ts';
import type { TableRelation } from '../model/relation.ts';
import type {
  BackupInput,
  LogicalDump,
  LogReport,
  ObjectSink,
  PhysicalBackup,
  ServerFacts,
  SnapshotPlace,
  ToolRepository,
  WatchInput,
} from './contract/backup.ts';
import type {
  CompareInput,
  ImportInput,
  ImportResult,
  TableComparison,
  UndoInput,
  UndoPlanInput,
  UndoVerifyInput,
} from './contract/change.ts';
import type { ExamineInput, ServerExamination } from './contract/examine.ts';
import type {
  CountInput,
  Counts,
  ExportedTable,
  ExportInput,
  FindInput,
  Found,
  KnownRelations,
} from './contract/read.ts';
import type {
  CheckInput,
  InstancePlace,
  ReplayInput,
  ReplayResult,
  RestoredTables,
  RestoreInput,
  RestoreTablesInput,
  TakenOver,
  TakeOverInput,
} from './contract/restore.ts';
import type { LogShipping } from './contract/ship.ts';

/**
 * The engine contract. An engine is plain code: it takes an AbortSignal and a progress callback (`Run`),
 * knows nothing of Temporal, and throws HoldfastError. Everything here is safe to run again after a kill
 * at any point: that is said at each method.
 */

export interface Engine {
  readonly kind: EngineKind;

  /** Reads version, identity and sizes. Throws ConnectionFailed, AuthenticationFailed. */
  inspect(access: ServerAccess, run: Run): Promise<ServerFacts>;

  /** What backups, the log watch and checks need of a production server, line by line. Reads only. */
  examine(input: ExamineInput, run: Run): Promise<ServerExamination>;

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

  /** Backups of files by a tool, and servers made of them. Null: this engine has none, and its bases are logical backups. */
  readonly physical: PhysicalTools | null;

  /** How its logs come into the repository: the server archives them itself, and is watched, or they are shipped. */
  readonly logs: ArchivedLogs | ({ kind: 'shipped' } & LogShipping);

  /**
   * Closes the current log, so that every moment before now can be recovered once it is in the repository. Where the
   * server archives by itself, a heartbeat is committed first: recovery to a time needs a commit after it.
   */
  closeLog(access: ServerAccess, run: Run): Promise<ClosedLog>;

  /** Restores a base into an instance's place. A second run goes on from what the first left. */
  restore(input: RestoreInput, run: Run): Promise<void>;

  /**
   * Makes an isolated server with the definitions of a logical backup and the rows of these tables. A second run
   * keeps what is complete. Throws UnknownTable, BackupUnusable, CheckFailed, NotEnoughSpace.
   */
  restoreTables(input: RestoreTablesInput, run: Run): Promise<RestoredTables>;

  /** Starts the restored server isolated, replays to the target, pauses there and asserts the position. */
  replay(input: ReplayInput, run: Run): Promise<ReplayResult>;

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
  check(input: CheckInput, run: Run): Promise<Check[]>;

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

  /** RESTORE.md of a backup: the plain commands that restore it with the tools alone. `snapshot`: from its folder alone. */
  instructions(
    manifest: Manifest,
    repository: RepositoryConfig,
    stanza: string,
    snapshot?: SnapshotPlace,
  ): string;

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

export interface ClosedLog {
  at: string;
  position: string;
  log: string;
  timeline: number;
  /** absent: the server counts no transactions, or nothing was committed */
  xid?: string;
}

export interface ArchivedLogs {
  kind: 'archived';
  /** A round of the watcher: archiver's state, a heartbeat commit, and a log switch when the last is older than `maxAgeMs / 2`. */
  watch(input: WatchInput, run: Run): Promise<LogReport>;
}

export interface PhysicalTools {
  /** Takes a physical backup on the database's host. An unfinished one of an earlier attempt is the tool's to resume. */
  backup(input: BackupInput, run: Run): Promise<PhysicalBackup>;

  /** All physical backups that the tool knows in the repository; works without the server. Empty where there are none. */
  listBackups(
    input: { repository: ToolRepository; stanza: string; systemUser: string | null },
    run: Run,
  ): Promise<PhysicalBackup[]>;

  /**
   * Ends the recovery of an isolated copy that is paused at its target, on a timeline of its own: it stays isolated.
   * Done already is success.
   */
  promote(place: InstancePlace, run: Run): Promise<{ timeline: number }>;

  /**
   * Makes a server that {@link Engine.replay} brought to its target, and whose files were moved since, production:
   * starts it with what clients need, ends its recovery on a new timeline, and archives into its own stanza. A second
   * run goes on from where the first was killed; done already is success. Throws InstanceLost, ToolFailed,
   * RepositoryUnavailable, RepositoryRefused, NotSupported, NotEnoughSpace.
   */
  takeOver(input: TakeOverInput, run: Run): Promise<TakenOver>;
}
