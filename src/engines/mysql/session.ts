import type { Flavour } from './flavour.ts';

export interface SessionOptions {
  /** shown in performance_schema.session_connect_attrs behind `holdfast`: what the session is for */
  applicationName?: string;
  /** refuses writes in the session itself */
  readOnly?: boolean;
  /** milliseconds; 0 (default): statements may take as long as they take, since reading a table can */
  statementTimeoutMs?: number;
  /** milliseconds a statement may wait for a lock of a row or a table, in whole seconds; default 30 s */
  lockTimeoutMs?: number;
}

/**
 * What rows need to be read and written as they are. Strict: nothing is cut to fit. Without NO_ZERO_DATE and
 * NO_ZERO_IN_DATE and with ALLOW_INVALID_DATES: tables hold such dates from other days. NO_AUTO_VALUE_ON_ZERO: a key
 * of 0 stays 0. Without ANSI_QUOTES, NO_BACKSLASH_ESCAPES and PAD_CHAR_TO_FULL_LENGTH, which a server may have.
 */
export const SQL_MODE = [
  'STRICT_TRANS_TABLES',
  'STRICT_ALL_TABLES',
  'ALLOW_INVALID_DATES',
  'NO_AUTO_VALUE_ON_ZERO',
  'NO_ENGINE_SUBSTITUTION',
].join(',');

/** A day: how long a session may be idle, or may wait for a reader that is slow: a merge reads in turns. */
const PATIENCE_SECONDS = 86_400;

/** The statements that make a session independent of the server's settings. The first names the character set. */
export function sessionStatements(flavour: Flavour, options: SessionOptions): string[] {
  const lockSeconds = Math.max(1, Math.ceil((options.lockTimeoutMs ?? 30_000) / 1000));
  const statementMs = options.statementTimeoutMs ?? 0;
  const settings: Record<string, string> = {
    time_zone: "'+00:00'",
    sql_mode: `'${SQL_MODE}'`,
    autocommit: '1',
    completion_type: "'NO_CHAIN'",
    foreign_key_checks: '1',
    unique_checks: '1',
    sql_safe_updates: '0',
    sql_big_selects: '1',
    sql_select_limit: '18446744073709551615',
    sql_quote_show_create: '1',
    group_concat_max_len: '1073741824',
    lc_messages: "'en_US'",
    wait_timeout: String(PATIENCE_SECONDS),
    // Its 60 s would end a stream whose reader waits for the other side of a comparison.
    net_write_timeout: String(PATIENCE_SECONDS),
    net_read_timeout: String(PATIENCE_SECONDS),
    lock_wait_timeout: String(lockSeconds),
    innodb_lock_wait_timeout: String(lockSeconds),
    ...(flavour === 'mysql'
      ? // Sizes and counts as they are now, not as of yesterday.
        { max_execution_time: String(Math.ceil(statementMs)), information_schema_stats_expiry: '0' }
      : { max_statement_time: String(statementMs / 1000) }),
  };
  const list = Object.entries(settings).map(([name, value]) => `@@SESSION.${name} = ${value}`);
  return [
    'SET NAMES utf8mb4 COLLATE utf8mb4_bin',
    `SET ${list.join(', ')}`,
    'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    `SET SESSION TRANSACTION READ ${options.readOnly === true ? 'ONLY' : 'WRITE'}`,
  ];
}
