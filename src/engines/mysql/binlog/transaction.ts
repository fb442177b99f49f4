import type { Statement } from './statement.ts';

/** What became of the rows of one table, as far as the log has them as rows. */
export interface TouchedTable {
  /** `db.table` in the form of model/table.ts */
  table: string;
  inserted: number;
  updated: number;
  deleted: number;
  /** some rows could not be counted: a column of a type that Holdfast does not know */
  isUncounted: boolean;
}

/** What one transaction of a log did. Positions are bytes from the beginning of the file. */
export interface Transaction {
  /** of its first event, the GTID where there are any: where a replay has to stop before it */
  start: number;
  /** after its last event: where a replay has to stop after it */
  end: number;
  gtid: string | null;
  serverId: number;
  /**
   * Microseconds since 1970, when it was committed on the server that wrote the log. MariaDB's logs have whole seconds,
   * and of the moment when the statement began that committed it; so has MySQL where no times are logged.
   */
  committedAt: bigint;
  /** ISO 8601 in UTC: with microseconds where the log has them, else with seconds */
  committedAtText: string;
  isExact: boolean;
  /** false: the log ends within it */
  isComplete: boolean;
  /** its end in the log is a ROLLBACK: changes of tables that have no transactions stay */
  isRolledBack: boolean;
  /** statements that changed rows or definitions */
  statements: number;
  tables: TouchedTable[];
  /** statements that create, change and remove tables, dbs and other definitions */
  ddl: Statement[];
  /** statements that are logged as text and change rows that nobody counts */
  dataStatements: Statement[];
  /** it holds more than is said here: statements that are not kept, or events that are not known */
  isCut: boolean;
  /** what a step of a distributed transaction did; the rows are with `prepare`, their commit comes later or never */
  xa: { step: 'prepare' | 'commit' | 'rollback' | 'one-phase'; xid: string } | null;
  /** the server could not log something */
  incident: string | null;
}

/** ISO 8601 in UTC of microseconds since 1970. */
export function formatMicroseconds(value: bigint, isExact: boolean): string {
  const seconds = new Date(Number(value / 1_000_000n) * 1000).toISOString().slice(0, 19);
  return isExact ? `${seconds}.${String(value % 1_000_000n).padStart(6, '0')}Z` : `${seconds}Z`;
}

/** Microseconds since 1970 of an ISO 8601 time, which may have up to six digits after the point; null: it is none. */
export function parseMicroseconds(text: string): bigint | null {
  const [, whole, fraction = '', zone] = /^(.*?\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:?\d\d)$/.exec(text) ?? [];
  const seconds = Date.parse(`${whole}${zone}`);
  if (whole === undefined || Number.isNaN(seconds)) return null;
  return BigInt(seconds) * 1000n + BigInt(fraction.padEnd(6, '0'));
}
