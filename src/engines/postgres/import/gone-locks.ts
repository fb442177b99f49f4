import type pg from 'pg';
import { parseNameParts } from '../../../model/table.ts';
import type { TablePair } from '../compare/table-pair.ts';
import { quoteQualified } from '../identifier.ts';
import type { TableLock } from './locks.ts';

/**
 * What the server locks itself to make tables again: those to which they refer; and where one becomes a part of
 * another, that, its default partition, and all that its foreign keys lead to. Those that the configured user may
 * not lock are left to the server.
 */
export async function locksAroundGone(client: pg.Client, gone: readonly TablePair[]): Promise<TableLock[]> {
  if (gone.length === 0) return [];
  const quoted = (names: readonly string[]) => names.map((name) => quoteQualified(parseNameParts(name)));
  const parents = gone.flatMap(({ restored }) => quoted(restored.parents));
  const referredTo = gone.flatMap(({ restored }) => quoted(restored.foreignKeys.map(({ parent }) => parent)));
  const { rows } = await client.query<TableLock>(
    `WITH part_of AS (SELECT pg_catalog.to_regclass(name)::pg_catalog.oid AS oid
         FROM unnest($1::pg_catalog.text[]) AS name),
       keys AS (SELECT conrelid, confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conparentid = 0),
       wanted AS (
         SELECT oid, true AS alone, 'SHARE UPDATE EXCLUSIVE' AS mode FROM part_of
         UNION SELECT partdefid, false, 'ACCESS EXCLUSIVE' FROM pg_catalog.pg_partitioned_table
           WHERE partrelid IN (SELECT oid FROM part_of)
         UNION SELECT confrelid, false, 'SHARE ROW EXCLUSIVE' FROM keys WHERE conrelid IN (SELECT oid FROM part_of)
         UNION SELECT conrelid, false, 'SHARE ROW EXCLUSIVE' FROM keys WHERE confrelid IN (SELECT oid FROM part_of)
         UNION SELECT pg_catalog.to_regclass(name)::pg_catalog.oid, false, 'SHARE ROW EXCLUSIVE'
           FROM unnest($2::pg_catalog.text[]) AS name)
     SELECT q.qualified, w.mode,
       CASE WHEN w.alone OR c.relkind <> 'p' THEN 'ONLY ' ELSE '' END || q.qualified AS source
     FROM wanted w JOIN pg_catalog.pg_class c ON c.oid = w.oid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
     LATERAL (SELECT '"' || pg_catalog.replace(n.nspname, '"', '""') || '"."'
       || pg_catalog.replace(c.relname, '"', '""') || '"' AS qualified) q
     WHERE pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')`,
    [parents, referredTo],
  );
  return rows;
}
