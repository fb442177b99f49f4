import type { Connection } from '../connection.ts';

/** Global settings of a server, by their names: one that a flavour or version does not have is absent. */
export interface Settings {
  text(name: string): string | null;
  number(name: string): number | null;
  isOn(name: string): boolean;
}

/** What examine/ looks at; all versions and flavours together. */
const NAMES = [
  ...['log_bin', 'log_bin_basename', 'binlog_format', 'binlog_row_image', 'sync_binlog'],
  ...['innodb_flush_log_at_trx_commit', 'gtid_mode', 'server_id', 'read_only', 'super_read_only'],
  ...['binlog_expire_logs_seconds', 'expire_logs_days', 'binlog_expire_logs_auto_purge'],
  ...['max_binlog_total_size', 'binlog_encryption', 'encrypt_binlog', 'event_scheduler'],
];

/** Asked so, a setting that the server does not know is no error. */
export async function settingsOf(connection: Connection): Promise<Settings> {
  const rows = await connection.query<{ Variable_name: string; Value: string }>(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${NAMES.map((name) => `'${name}'`).join(', ')})`,
  );
  const values = new Map(rows.map((row) => [row.Variable_name, row.Value]));
  const text = (name: string) => values.get(name) ?? null;
  return {
    text,
    number: (name) => {
      const value = text(name);
      return value === null || value === '' ? null : Number(value);
    },
    isOn: (name) => ['ON', '1', 'YES'].includes(text(name)?.toUpperCase() ?? ''),
  };
}
