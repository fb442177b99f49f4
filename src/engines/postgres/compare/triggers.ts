import type pg from 'pg';

/**
 * Condition on `g` (pg_trigger): a trigger that people made. Up to PostgreSQL 14 the copy of a parent's trigger at a
 * partition counts as internal, like those of foreign keys.
 */
export const IS_USER_TRIGGER = `(NOT g.tgisinternal OR (g.tgparentid <> 0 AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = g.tgconstraint AND k.contype <> 't')))`;

/** What an import runs for a table that is there; to make one again takes many more. */
const COMMANDS = ['ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS'];

/** Event triggers cannot be kept from firing by everybody: that is said before anybody approves it. */
export async function eventTriggerNotices(
  client: pg.Client,
  table: string,
  gone: boolean,
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT evtname AS name FROM pg_catalog.pg_event_trigger
     WHERE evtenabled IN ('O', 'A') AND evtevent IN ('ddl_command_start', 'ddl_command_end')
       AND ($1 OR evttags IS NULL OR evttags && $2::pg_catalog.text[])
       AND NOT (pg_catalog.current_setting('is_superuser') = 'on'
         AND EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'event_triggers'))
     ORDER BY evtname`,
    [gone, COMMANDS],
  );
  if (rows.length === 0) return [];
  const names = rows.map(({ name }) => name).join(', ');
  return [
    `${table}: event triggers of production fire for the commands of the import (CREATE TEMPORARY TABLE, ALTER TABLE … DISABLE TRIGGER), which only a superuser of PostgreSQL 17 or newer can keep them from: ${names}`,
  ];
}
