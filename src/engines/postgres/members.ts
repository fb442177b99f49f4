import type pg from 'pg';
import { HoldfastError } from '../../model/failure.ts';
import { parseNameParts } from '../../model/table.ts';
import { quoteQualified } from './identifier.ts';

export interface ListedRelation {
  table: string;
  /** pg_class.relkind */
  kind: string;
  unlogged: boolean;
  /** itself and all partitions below it */
  members: [schema: string, name: string][];
}

/** What these tables of the restored copy are, and of which parts. Throws UnknownTable. */
export async function listRelations(client: pg.Client, tables: readonly string[]): Promise<ListedRelation[]> {
  const listed: ListedRelation[] = [];
  for (const table of tables) {
    const { rows } = await client.query<ListedRelation>(
      `SELECT c.relkind AS kind, c.relpersistence = 'u' AS unlogged,
         (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(pn.nspname, p.relname) ORDER BY t.level, p.relname)
            FROM (SELECT c.oid AS relid, 0 AS level UNION SELECT relid, level FROM pg_catalog.pg_partition_tree(c.oid)) t
            JOIN pg_catalog.pg_class p ON p.oid = t.relid
            JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace) AS members
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = $2`,
      parseNameParts(table).slice(-2),
    );
    const [found] = rows;
    if (found === undefined) {
      throw new HoldfastError('UnknownTable', `the restored copy has no table ${table}`, {
        hint: 'at the target it did not exist yet, or was called otherwise: choose another target',
      });
    }
    listed.push({ ...found, table });
  }
  return listed;
}

/**
 * The same. Throws NotSupported for tables whose rows no physical backup has: they cannot be read while a recovery is
 * paused, and its end empties them. A copy from a dump has them.
 */
export async function requireLogged(client: pg.Client, tables: readonly string[]): Promise<ListedRelation[]> {
  const listed = await listRelations(client, tables);
  for (const { table, unlogged } of listed) {
    if (!unlogged || (await hasRows(client, table))) continue;
    throw new HoldfastError('NotSupported', `${table} is unlogged: its rows are in no physical backup`, {
      hint: 'leave it out; a logical backup has them: holdfast restore table',
    });
  }
  return listed;
}

async function hasRows(client: pg.Client, table: string): Promise<boolean> {
  const { rows } = await client.query<{ recovering: boolean }>(
    'SELECT pg_catalog.pg_is_in_recovery() AS recovering',
  );
  if (rows[0]?.recovering === true) return false;
  const { rowCount } = await client.query(
    `SELECT FROM ${quoteQualified(parseNameParts(table).slice(-2))} LIMIT 1`,
  );
  return rowCount === 1;
}
