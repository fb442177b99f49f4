import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import type { StoredObject } from '../../model/backup.ts';
import type { ConflictRule, PlanRule, TableChange, UndoRule } from '../../model/plan.ts';
import type { ObjectSink } from './backup.ts';
import type { InstancePlace } from './restore.ts';

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
  /** how these were defined, where an engine has to know what kept values mean; else absent */
  definitions?: string[];
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
