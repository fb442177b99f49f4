import { formatDuration } from '../../../model/duration.ts';
import type { Examined, ExamineInput } from '../../contract/examine.ts';
import type { Server } from '../flavour.ts';
import type { Settings } from './settings.ts';

/** For so long a server has to keep its logs at least, whatever the tier says: a worker may be away over night. */
const LEAST_KEPT_MS = 86_400_000;
const DAY_SECONDS = 86_400;

/** Whether the server writes logs that can be replayed, and keeps them until they are shipped. */
export function examineLogs(
  server: Server,
  settings: Settings,
  { maxAgeMs, logDirectory }: Pick<ExamineInput, 'maxAgeMs' | 'logDirectory'>,
): Examined[] {
  if (!settings.isOn('log_bin')) {
    const hint =
      'set log_bin = binlog and server_id = 1 (another for each server) in its option file, and restart it';
    return [line(false, 'binary log', 'log_bin is off: nothing after a backup can be recovered', hint)];
  }
  return [
    line(true, 'binary log', settings.text('log_bin_basename') ?? 'it is on', null),
    format(settings),
    retention(server, settings, maxAgeMs ?? 0),
    durability(settings),
    gtids(server, settings),
    logDirectory == null ? null : encryption(settings),
  ].flatMap((each) => each ?? []);
}

/** `ROW` says what rows were and became; a statement only says what somebody typed, and may do another thing again. */
function format(settings: Settings): Examined {
  const kind = settings.text('binlog_format') ?? 'ROW';
  const image = settings.text('binlog_row_image') ?? 'FULL';
  const what = 'log format';
  if (kind === 'STATEMENT') {
    const detail = 'binlog_format = STATEMENT: a replay may do something else than the server did';
    return line(false, what, detail, 'SET GLOBAL binlog_format = ROW; and the same in its option file');
  }
  if (image !== 'FULL') {
    const detail = `binlog_row_image = ${image}: logs do not say all of what a row was`;
    return line(false, what, detail, 'SET GLOBAL binlog_row_image = FULL; and the same in its option file');
  }
  return kind === 'ROW'
    ? line(true, what, 'binlog_format = ROW, binlog_row_image = FULL', null)
    : line(
        true,
        what,
        `binlog_format = ${kind}: \`holdfast find\` cannot count what statements changed`,
        null,
      );
}

/** A log that the server removes before it is shipped is a gap. */
function retention(server: Server, settings: Settings, maxAgeMs: number): Examined {
  const what = 'logs are kept';
  const keptMs = keptFor(settings);
  const total = settings.number('max_binlog_total_size') ?? 0;
  const least = Math.max(LEAST_KEPT_MS, 2 * maxAgeMs);
  if (total > 0) {
    const detail = `only as long as they are less than ${total} bytes together (max_binlog_total_size)`;
    return line(false, what, detail, 'SET GLOBAL max_binlog_total_size = 0; and keep them by time');
  }
  if (keptMs === null)
    return line(true, what, 'until somebody removes them: see that the disk does not fill', null);
  const detail = `for ${formatDuration(keptMs)}`;
  if (keptMs >= least) return line(true, what, detail, null);
  return line(
    false,
    what,
    `${detail}: a worker that is away longer leaves a gap in the logs`,
    `SET ${server.flavour === 'mysql' ? 'PERSIST' : 'GLOBAL'} binlog_expire_logs_seconds = ${(3 * least) / 1_000}`,
  );
}

/**
 * How long the server keeps a closed log, in milliseconds; null: until somebody removes it. MySQL takes the seconds, and
 * the days where those are 0 ("Binary Logging Options and Variables"); of MariaDB both are the same setting.
 */
export function keptFor(settings: Settings): number | null {
  const purges = settings.text('binlog_expire_logs_auto_purge');
  if (purges !== null && !settings.isOn('binlog_expire_logs_auto_purge')) return null;
  const seconds = settings.number('binlog_expire_logs_seconds') ?? 0;
  const days = settings.number('expire_logs_days') ?? 0;
  const kept = seconds > 0 ? seconds : days * DAY_SECONDS;
  return kept === 0 ? null : kept * 1_000;
}

/** After a crash of the machine the log must not have less than the server: what follows would not fit it. */
function durability(settings: Settings): Examined {
  const sync = settings.text('sync_binlog');
  const flush = settings.text('innodb_flush_log_at_trx_commit');
  const what = 'logs survive a crash';
  if (sync === '1' && flush === '1') {
    return line(true, what, 'sync_binlog = 1, innodb_flush_log_at_trx_commit = 1', null);
  }
  return line(
    false,
    what,
    `sync_binlog = ${sync}, innodb_flush_log_at_trx_commit = ${flush}: after a crash of the machine, log and tables may differ`,
    'SET GLOBAL sync_binlog = 1; SET GLOBAL innodb_flush_log_at_trx_commit = 1; and the same in its option file',
  );
}

function gtids(server: Server, settings: Settings): Examined {
  const mode = settings.text('gtid_mode');
  if (server.flavour === 'mariadb' || mode === 'ON') {
    return line(true, 'GTIDs', 'transactions have GTIDs: a recovery can be told one', null);
  }
  const detail = `gtid_mode = ${mode}: a recovery can be told a time or a position, not a transaction`;
  return line(true, 'GTIDs', detail, null);
}

/** The files of an encrypted log are of use to nobody but its server, which gives them out in plain. Null: that is off. */
function encryption(settings: Settings): Examined | null {
  const name = ['binlog_encryption', 'encrypt_binlog'].find((each) => settings.isOn(each));
  if (name === undefined) return null;
  const hint = 'leave out mysql.logDirectory: then they are read through the server';
  return line(false, 'log encryption', `${name} is on: only the server can read its log files`, hint);
}

const line = (ok: boolean, what: string, detail: string, hint: string | null): Examined => ({
  ...{ what, ok, detail, hint },
});
