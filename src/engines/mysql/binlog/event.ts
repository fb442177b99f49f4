/** What every event says. */
export interface EventPlace {
  /** first byte, counted from the beginning of the file */
  start: number;
  /** first byte after it */
  end: number;
  /** seconds since 1970: when its statement began, or what the session had set as its time */
  timestamp: number;
  serverId: number;
  /** it stood in a compressed transaction; start and end are then those of the whole transaction's event */
  isNested: boolean;
}

export interface TableName {
  db: string;
  table: string;
}

/** One event of a binary log, as far as Holdfast needs it. */
export type BinlogEvent = EventPlace & EventContent;

export type EventContent =
  | FormatContent
  | { type: 'rotate'; next: string }
  | { type: 'stop' }
  | PreviousGtidsContent
  | GtidContent
  | QueryContent
  | { type: 'xid' }
  | { type: 'xa-prepare'; xid: string; isOnePhase: boolean }
  | TableMapContent
  | RowsContent
  | { type: 'payload'; compression: 'zstd' | 'none'; uncompressedBytes: number }
  | { type: 'incident'; message: string }
  /** the file ends within this event; only where the reader was asked for it */
  | { type: 'cut' }
  /** of a kind that is not known here; it may hold changes */
  | { type: 'unknown'; code: number }
  | { type: 'other'; code: number };

export interface FormatContent {
  type: 'format';
  /** `8.0.31`, `10.11.6-MariaDB-0+deb12u1-log` */
  serverVersion: string;
  flavour: 'mysql' | 'mariadb';
  /** seconds since 1970; 0: the file was begun by a rotation, not by a start of the server */
  created: number;
  hasChecksums: boolean;
  /** the server that wrote it has not closed it: it still writes, or has crashed */
  isInUse: boolean;
}

/** What was committed before this file began. */
export interface PreviousGtidsContent {
  type: 'previous-gtids';
  /** canonical, see gtid.ts. MariaDB: of each domain the last transaction (`gtid_binlog_pos`) */
  gtids: string;
  /** MariaDB: of each domain and server the last transaction (`gtid_binlog_state`); MySQL: as gtids */
  state: string;
}

/** The first event of a transaction. */
export interface GtidContent {
  type: 'gtid';
  /** null: anonymous, MySQL without GTIDs */
  gtid: string | null;
  /** microseconds since 1970, when it was committed on the server that wrote this log; null: the log does not say */
  committedAt: bigint | null;
  /** microseconds since 1970, when it was committed where it came from */
  originallyCommittedAt: bigint | null;
  lastCommitted: number | null;
  sequenceNumber: number | null;
  /** bytes of all its events as they would be without compression, this one included */
  transactionLength: number | null;
  /** MariaDB: exactly one statement follows, without COMMIT; null: only the next event tells (MySQL) */
  isStandalone: boolean | null;
  /** MariaDB marks these; null: not said */
  isDdl: boolean | null;
  xa: 'prepared' | 'completed' | null;
  /** MariaDB's ALTER in two steps (binlog_alter_two_phase) */
  alter: 'start' | 'commit' | 'rollback' | null;
}

export interface QueryContent {
  type: 'query';
  /** the session's current db, empty: none */
  db: string;
  /** its beginning, see the reader's `sqlLimit` */
  sql: string;
  isCut: boolean;
  /** other than 0: it failed half-way and was logged for what it had done */
  errorCode: number;
  /** whole seconds that it took */
  seconds: number;
  /** double quotes are around names, not texts (sql_mode ANSI_QUOTES) */
  hasAnsiQuotes: boolean;
  /** LOAD DATA, whose file stands in events of its own */
  isLoad: boolean;
}

export interface TableMapContent extends TableName {
  type: 'table-map';
  tableId: number;
  columns: readonly Column[];
}

export interface Column {
  /** number of the type, see column.ts */
  type: number;
  metadata: number;
  /** null: the server does not log names (binlog_row_metadata is not FULL) */
  name: string | null;
}

export interface RowsContent {
  type: 'rows';
  action: 'insert' | 'update' | 'delete';
  tableId: number;
  /** null for an event without rows that only ends a statement */
  table: TableName | null;
  /** null: a column of a type that is not known here; the rows cannot be told apart */
  rows: number | null;
  isStatementEnd: boolean;
}
