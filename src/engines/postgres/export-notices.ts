import type pg from 'pg';
import { parseNameParts } from '../../model/table.ts';

/** What the exported rows of these tables lack: a large object is no part of the row that names it. */
export async function exportNotices(client: pg.Client, tables: readonly string[]): Promise<string[]> {
  const notices: string[] = [];
  for (const table of tables) {
    const { rows } = await client.query<{ column: string }>(LARGE_OBJECTS, parseNameParts(table).slice(-2));
    for (const { column } of rows)
      notices.push(
        `${table}: column ${column} may name large objects; they are not exported, only their numbers`,
      );
  }
  return notices;
}

/** Columns of oid, or of a domain over it such as `lo`, where the db has large objects. */
const LARGE_OBJECTS = `
  SELECT a.attname AS column
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE n.nspname = $1 AND c.relname = $2
     AND coalesce(nullif(t.typbasetype, 0), t.oid) = 'pg_catalog.oid'::pg_catalog.regtype
     AND EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
   ORDER BY a.attnum`;
