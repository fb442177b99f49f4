import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import type { ConflictRule } from '../../model/plan.ts';
import type { TableRelation } from '../../model/relation.ts';
import type { Target } from '../../model/target.ts';
import type { ToolRepository } from './backup.ts';
import type { TableComparison } from './change.ts';
import type { InstancePlace } from './restore.ts';
import type { ShippedContent } from './ship.ts';

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

/** A search in archived logs, which a tool fetches, or in shipped ones. */
export type FindInput = FindArchivedInput | FindShippedInput;

interface Search {
  /** ISO 8601: only what committed from `since` to `until` counts */
  since: string;
  until: string;
  /** what Holdfast itself has committed in production */
  own: OwnTransaction[];
  /** the candidates with the most rows are kept, and fewer deleted and updated rows than `minRows` make none */
  limit: number;
  minRows: number;
}

export interface FindArchivedInput extends Search {
  repository: ToolRepository;
  stanza: string;
  serverMajor: number;
  segmentBytes: number;
  /** the logs to read, in order; where one is missing between two of them, the reading starts anew */
  logs: LogFile[];
  /** every place where the table's data was known to lie, oldest first */
  relations: TableRelation[];
  /** an empty directory for fetched logs, a few at a time: removed by the caller */
  directory: string;
}

/** These logs name tables themselves: `db.table` in the form of model/table.ts. */
export interface FindShippedInput extends Search {
  table: string;
  logs: ShippedContent[];
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
  /** its number on the server; null: the server's logs have none (MySQL: the GTID, where there is one) */
  xid: string | null;
  /** of its commit */
  at: string;
  /** where it begins or commits in the log: an LSN, or `binlog.000004:1234` */
  lsn: string;
  timeline: number;
  gtid?: string;
  deleted: number;
  updated: number;
  inserted: number;
  /** what it did to the table as a whole; `rewritten`: VACUUM FULL, CLUSTER or an ALTER TABLE, no row lost by itself */
  whole: 'truncated' | 'dropped' | 'rewritten' | null;
  /**
   * of how many of a partitioned table's leaves `whole` is true; null for a table of one piece, and without `whole`.
   * Numbers are null where logs do not say them (MySQL)
   */
  partitions: { touched: number; all: number } | { touched: null; all: null } | null;
  /** the runbook of Holdfast whose import or undo it is */
  by?: string;
  /** just before it, ready for pointInTimeRecovery */
  target: Extract<Target, { lsn: string } | { gtid: string }>;
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
