import type pg from 'pg';
import type { Examined, ExamineInput } from '../../contract/examine.ts';
import { quoteIdentifier } from '../identifier.ts';

/** A right, what asks for it, and what grants it. */
interface Right {
  needed: string;
  /** an expression of SQL that is true where the session has it */
  held: string;
  grant: (user: string) => string;
}

/** What the user of the connection needs beside SELECT, which docs/operations.md lists. */
export async function examineRights(
  client: pg.ClientBase,
  { major, maxAgeMs, physical }: Pick<ExamineInput, 'maxAgeMs' | 'physical'> & { major: number },
): Promise<Examined[]> {
  const { rows } = await client.query<{ user: string; superuser: boolean }>(
    `SELECT current_user AS user, rolsuper AS superuser FROM pg_catalog.pg_roles WHERE rolname = current_user`,
  );
  const { user = '', superuser = false } = rows[0] ?? {};
  if (superuser) return [fine('rights', `${user} is a superuser`)];
  const rights = [
    ...reading(major),
    ...(maxAgeMs === null ? [] : WATCHING),
    ...(physical ? backingUp(major) : []),
  ];
  const held = await client.query<Record<string, boolean>>(
    `SELECT ${rights.map((right, index) => `${right.held} AS r${index}`).join(', ')}`,
  );
  const missing = rights.filter((_, index) => held.rows[0]?.[`r${index}`] !== true);
  if (missing.length === 0) return [fine('rights', `${user} has what backups, watching and reading need`)];
  return missing.map(({ needed, grant }) => ({
    what: 'rights',
    ok: false,
    detail: `${user} lacks what ${needed} needs`,
    hint: grant(quoteIdentifier(user)),
  }));
}

const WATCHING: Right[] = [
  {
    needed: 'counting the logs that wait for the archiver',
    held: may('pg_catalog.pg_ls_archive_statusdir()'),
    grant: (user) => `GRANT pg_monitor TO ${user};`,
  },
  executable('closing the current log', 'pg_switch_wal()'),
];

/** Roles of the system that read everything came with PostgreSQL 14. */
function reading(major: number): Right[] {
  const tables = `NOT EXISTS (
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
       AND n.nspname !~ '^pg_(?:toast|temp)' AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_table_privilege(c.oid, 'SELECT')))`;
  return [
    {
      needed: 'reading every table',
      held: tables,
      grant: (user) =>
        major >= 14
          ? `GRANT pg_read_all_data TO ${user};`
          : `GRANT USAGE ON SCHEMA … TO ${user}; GRANT SELECT ON ALL TABLES IN SCHEMA … TO ${user};`,
    },
  ];
}

/** They were renamed, and lost an argument, in PostgreSQL 15. */
function backingUp(major: number): Right[] {
  const functions =
    major >= 15
      ? ['pg_backup_start(text, boolean)', 'pg_backup_stop(boolean)']
      : ['pg_start_backup(text, boolean, boolean)', 'pg_stop_backup(boolean, boolean)'];
  return functions.map((name) => executable('a physical backup', name));
}

function executable(needed: string, name: string): Right {
  return {
    needed,
    held: may(`pg_catalog.${name}`),
    grant: (user) => `GRANT EXECUTE ON FUNCTION ${name} TO ${user};`,
  };
}

function may(name: string): string {
  return `pg_catalog.has_function_privilege('${name}', 'EXECUTE')`;
}

const fine = (what: string, detail: string): Examined => ({ what, ok: true, detail, hint: null });
