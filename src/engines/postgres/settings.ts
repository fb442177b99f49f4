import { join } from 'node:path';
import { isExclusive, type Target } from '../../model/target.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { readIfThere } from '../owned-files.ts';
import type { InstanceParameters } from './control-data.ts';
import { INSTANCE_PORT, layoutOf, writeOwned } from './place.ts';

export interface InstanceSettings {
  serverMajor: number;
  parameters: InstanceParameters;
  target: Target;
  timeline: number;
  /** program that fetches a log; null: what the instance has already is enough */
  archiveGet: string | null;
  /** an instance that is thrown away may do without; not one that becomes production */
  fsync: boolean;
}

export interface WrittenSettings {
  configurationFile: string;
}

/**
 * Writes the whole configuration of a restored server. Nothing of production's own applies: neither its
 * postgresql.conf nor what ALTER SYSTEM left in postgresql.auto.conf.
 */
export async function writeSettings(
  place: InstancePlace,
  settings: InstanceSettings,
): Promise<WrittenSettings> {
  const { configuration, data } = layoutOf(place);
  const file = (name: string) => join(configuration, name);
  await writeOwned(place, file('postgresql.conf'), renderSettings(place, settings));
  await writeOwned(
    place,
    file('pg_hba.conf'),
    '# the socket folder admits its owner only\nlocal all all trust\n',
  );
  await writeOwned(place, file('pg_ident.conf'), '');
  await emptyFormerSettings(place, join(data, 'postgresql.auto.conf'));
  return { configurationFile: file('postgresql.conf') };
}

const EMPTIED = '# emptied by the restore\n';

/** Read after postgresql.conf, and stronger: production's `archive_mode = on` may be in it. What was there is kept aside. */
async function emptyFormerSettings(place: InstancePlace, path: string): Promise<void> {
  const before = await readIfThere(path);
  if (before !== null && before !== EMPTIED) await writeOwned(place, formerSettingsFile(place), before);
  await writeOwned(place, path, EMPTIED);
}

/** What ALTER SYSTEM had set in production: people may want it back in a server that becomes production. */
export function formerSettingsFile(place: InstancePlace): string {
  return join(layoutOf(place).configuration, 'former.auto.conf');
}

export function renderSettings(place: InstancePlace, settings: InstanceSettings): string {
  const { configuration, sockets } = layoutOf(place);
  const { serverMajor, parameters, fsync } = settings;
  const values: Record<string, string | number> = {
    hba_file: join(configuration, 'pg_hba.conf'),
    ident_file: join(configuration, 'pg_ident.conf'),

    // Nothing that is restored may reach production or its repository.
    archive_mode: 'off',
    archive_command: '',
    ...(serverMajor >= 15 ? { archive_library: '' } : {}),
    primary_conninfo: '',
    primary_slot_name: '',
    synchronous_standby_names: '',
    // A promoted copy would otherwise take the changes of production's subscriptions.
    max_logical_replication_workers: 0,
    // Job schedulers among them (pg_cron, TimescaleDB). A custom WAL resource manager would be needed: not supported.
    shared_preload_libraries: '',
    session_preload_libraries: '',
    local_preload_libraries: '',

    listen_addresses: '',
    port: INSTANCE_PORT,
    unix_socket_directories: quoteList(sockets),
    unix_socket_permissions: '0700',
    ssl: 'off',

    ...parameters,
    hot_standby: 'on',
    // Of a copy whose recovery was ended: nothing writes into it, neither people nor the server itself.
    default_transaction_read_only: 'on',
    autovacuum: 'off',
    // Nobody waits for this server: a long read must not be cancelled by the replay.
    max_standby_archive_delay: -1,
    ...recoverySettings(settings),
    // The startup process asks again that often when the logs have come to their end.
    wal_retrieve_retry_interval: '500ms',
    fsync: fsync ? 'on' : 'off',
    restart_after_crash: 'off',

    shared_buffers: '256MB',
    jit: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '%m [%p] ',
    log_statement: 'none',
    log_min_error_statement: 'panic',
    // The log is read for the position; it must not depend on production's language or zone.
    lc_messages: 'C',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  return `# written by Holdfast: a restored, isolated server\n${settingLines(values)}`;
}

export function settingLines(values: Record<string, string | number | boolean>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${quoteSetting(value)}\n`)
    .join('');
}

/** The stop of the recovery. `latest` has none: it replays as a standby, which never promotes by itself. */
export function recoverySettings({
  target,
  timeline,
  archiveGet,
}: Pick<InstanceSettings, 'target' | 'timeline' | 'archiveGet'>): Record<string, string | number> {
  return {
    // Something has to be given; false says of every log that there is none in the archive.
    restore_command:
      archiveGet === null ? 'false' : `sh ${shellWord(archiveGet).replaceAll('%', '%%')} %f %p`,
    recovery_target_timeline: timeline,
    recovery_target_action: 'pause',
    recovery_target_inclusive: isExclusive(target) ? 'off' : 'on',
    ...stopOf(target),
  };
}

function stopOf(target: Target): Record<string, string> {
  // `Z` is an abbreviation, and those are not known yet when the server reads its settings: it would not start.
  if ('time' in target) return { recovery_target_time: target.time.replace(/Z$/, '+00') };
  if ('lsn' in target) return { recovery_target_lsn: target.lsn };
  // The log holds 32 bits; pg_current_xact_id() and its kind put an epoch on top.
  if ('xid' in target) return { recovery_target_xid: String(BigInt(target.xid) & 0xffff_ffffn) };
  if ('name' in target) return { recovery_target_name: target.name };
  if ('backup' in target) return { recovery_target: 'immediate' };
  return {};
}

/**
 * Writes the program behind restore_command. PostgreSQL takes every failure up to 125 for "there is no such
 * log", and would end the recovery where the repository only could not be reached: 255 stops the server.
 */
export async function writeArchiveGet(place: InstancePlace): Promise<string> {
  const { configuration } = layoutOf(place);
  const path = join(configuration, 'archive-get.sh');
  await writeOwned(
    place,
    path,
    `#!/bin/sh
# archive-get.sh LOG PATH. The repository comes from the environment of the server.
pgbackrest --no-config archive-get "$1" "$2"
code=$?
[ $code -eq 0 ] && exit 0
[ $code -eq 1 ] || { echo "holdfast: pgbackrest archive-get $1 ended with $code" >&2; exit 255; }
echo "$1" >> ${shellWord(missingLogsFile(place))}
exit 1
`,
  );
  await writeOwned(place, missingLogsFile(place), '');
  return path;
}

/** One line for each time that a log was asked for which the repository does not hold. */
export function missingLogsFile(place: InstancePlace): string {
  return join(layoutOf(place).logs, 'missing-logs');
}

/** Unlike in SQL, a backslash is an escape here (source: PostgreSQL `guc-file.l`). */
function quoteSetting(value: string | number | boolean): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** An element of a list setting: a comma in the path would end it. */
export function quoteList(path: string): string {
  return `"${path.replaceAll('"', '""')}"`;
}

/** One word of a POSIX shell's command line. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
