import type pg from 'pg';
import { parseNameParts } from '../../../model/table.ts';
import type { Owned } from './contents.ts';

/**
 * Everything whose contents the wanted tables need: they themselves, their partitions and inheriting tables, and
 * the sequences that belong to one of these or that a default takes numbers from. Read from restored definitions.
 */
export async function neededFor(
  client: pg.ClientBase,
  tables: readonly string[],
): Promise<{ tables: Owned[]; sequences: Owned[] }> {
  const names = tables.map((table) => parseNameParts(table).slice(-2));
  const { rows } = await client.query<Row>(NEEDED, [
    names.map(([schema]) => schema),
    names.map(([, name]) => name),
  ]);
  const ofKind = (kinds: string) =>
    rows
      .filter(({ kind }) => kinds.includes(kind))
      .map(({ schema, name, bytes, owner }) => ({
        ...{ schema, name },
        ...{ listed: asListed(Buffer.concat([bytes, owner])), listedOfAnyone: asListed(bytes) },
      }));
  return { tables: ofKind('r'), sequences: ofKind('S') };
}

/** `bytes` and `owner` in the encoding of the db, in which its dump is too; a space ends the first. */
interface Row {
  schema: string;
  name: string;
  kind: string;
  bytes: Buffer;
  owner: Buffer;
}

/**
 * As the output of pg_restore is read, whatever its encoding is. It writes a line break in a name as a space
 * (source: PostgreSQL `dumputils.c`, sanitize_line).
 */
const asListed = (bytes: Buffer): string => bytes.toString('utf8').replaceAll(/[\r\n]/g, ' ');

const NEEDED = `
  WITH RECURSIVE wanted AS (
    SELECT c.oid
      FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w(s, t)
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.s
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN wanted w ON w.oid = i.inhparent
  ), needed AS (
    SELECT oid FROM wanted
    UNION
    SELECT d.objid FROM pg_catalog.pg_depend d JOIN wanted w ON w.oid = d.refobjid
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid FROM pg_catalog.pg_attrdef a JOIN wanted w ON w.oid = a.adrelid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = a.oid
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  )
  SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind,
         pg_catalog.convert_to(n.nspname || ' ' || c.relname || ' ', e) AS bytes,
         pg_catalog.convert_to(pg_catalog.pg_get_userbyid(c.relowner), e) AS owner
    FROM pg_catalog.getdatabaseencoding() e, needed JOIN pg_catalog.pg_class c ON c.oid = needed.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'S')
   ORDER BY 1, 2`;
