import type pg from 'pg';
import { formatDuration } from '../../../model/duration.ts';
import type { Examined } from '../../contract/examine.ts';

interface Settings {
  mode: string;
  command: string;
  library: string | null;
  level: string;
  /** seconds since the newest log was archived; null: none was, as far as the statistics go back */
  age: number | null;
  failing: boolean;
  failed: string | null;
}

/** Whether logs are archived at all, and are just now. */
export async function examineArchive(client: pg.ClientBase, maxAgeMs: number): Promise<Examined[]> {
  const { rows } = await client.query<Settings>(
    `SELECT pg_catalog.current_setting('archive_mode') AS mode,
       pg_catalog.current_setting('archive_command') AS command,
       pg_catalog.current_setting('archive_library', true) AS library,
       pg_catalog.current_setting('wal_level') AS level,
       extract(epoch FROM pg_catalog.clock_timestamp() - last_archived_time)::float8 AS age,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
       last_failed_wal AS failed
       FROM pg_catalog.pg_stat_archiver`,
  );
  return [settings(rows[0] as Settings), archiver(rows[0] as Settings, maxAgeMs)];
}

function settings({ mode, command, library, level }: Settings): Examined {
  const wrong = [
    ...(mode === 'off' ? ['archive_mode = on'] : []),
    // Hidden from a user without the right to see it, it is empty too.
    ...(mode !== 'off' && isEmpty(command) && isEmpty(library)
      ? ["archive_command = 'pgbackrest … archive-push %p'"]
      : []),
    ...(level === 'minimal' ? ['wal_level = replica'] : []),
  ];
  return wrong.length === 0
    ? line(true, 'archive settings', `archive_mode = ${mode}, wal_level = ${level}`, null)
    : line(
        false,
        'archive settings',
        `nothing is archived with archive_mode = ${mode}, wal_level = ${level}${isEmpty(command) ? ' and no archive_command' : ''}`,
        `set ${wrong.join(', ')} in postgresql.conf, and restart the server`,
      );
}

function archiver({ mode, age, failing, failed }: Settings, maxAgeMs: number): Examined {
  if (mode === 'off') return line(false, 'archiver', 'it is off', 'see the line above');
  if (failing) {
    const hint = "see archive_command in the server's log: until it works, the disk of the server fills";
    return line(false, 'archiver', `it fails at ${failed}`, hint);
  }
  if (age === null) return line(true, 'archiver', 'nothing was archived yet, and nothing failed', null);
  const span = formatDuration(Math.max(1, age) * 1_000);
  if (age * 1_000 <= maxAgeMs) return line(true, 'archiver', `the newest log was archived ${span} ago`, null);
  const hint = 'the watcher closes logs of an idle server: is its worker running?';
  return line(
    false,
    'archiver',
    `the newest log was archived ${span} ago, at most ${formatDuration(maxAgeMs)} are meant to pass`,
    hint,
  );
}

const isEmpty = (setting: string | null): boolean =>
  setting === null || setting === '' || setting === '(disabled)';

const line = (ok: boolean, what: string, detail: string, hint: string | null): Examined => ({
  ...{ what, ok, detail, hint },
});
