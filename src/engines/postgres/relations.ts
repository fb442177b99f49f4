import type { ServerAccess } from '../../model/access.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts } from '../../model/table.ts';
import type { KnownRelations } from '../contract/read.ts';
import { withConnection } from './connection.ts';

const STATEMENT_TIMEOUT_MS = 60_000;

/**
 * Engine.listRelations: every ordinary table whose changes are logged, of these dbs or of every one that the user may
 * connect to. A leaf of a partitioned table has an entry under its own name and one under that of each table above it.
 */
export async function listRelations(
  access: ServerAccess,
  run: Run,
  databases?: readonly string[],
): Promise<KnownRelations> {
  const session = {
    ...{ signal: run.signal, applicationName: 'relations', readOnly: true },
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
  const query = <T extends object>(db: string, text: string) =>
    withConnection(
      { ...access, database: db },
      session,
      async (client) => (await client.query<T>(text)).rows,
    );
  const all =
    databases ?? (await query<{ name: string }>(access.database, DATABASES)).map(({ name }) => name);
  const known: KnownRelations = { relations: [], refused: [] };
  for (const db of all) {
    try {
      const rows = await query<Row>(db, RELATIONS);
      const at = new Date().toISOString();
      for (const { schema, name, node, oid } of rows)
        known.relations.push({ db, table: formatNameParts([schema, name]), node, oid, at });
    } catch (error) {
      run.signal.throwIfAborted();
      known.refused.push({ db, why: error instanceof Error ? error.message : String(error) });
    }
  }
  return known;
}

interface Row {
  schema: string;
  name: string;
  node: string;
  oid: string;
}

const DATABASES = `
  SELECT datname AS name FROM pg_catalog.pg_database
   WHERE datallowconn AND NOT datistemplate AND pg_catalog.has_database_privilege(oid, 'CONNECT')
   ORDER BY datname`;

const RELATIONS = `
  SELECT n.nspname AS schema, named.relname AS name, leaf.oid::text AS oid,
         pg_catalog.concat_ws('/', coalesce(nullif(leaf.reltablespace, 0), d.dattablespace), d.oid,
           pg_catalog.pg_relation_filenode(leaf.oid)) AS node
    FROM pg_catalog.pg_class leaf
    CROSS JOIN LATERAL (SELECT leaf.oid AS relid UNION
                        SELECT a.relid::oid FROM pg_catalog.pg_partition_ancestors(leaf.oid) a) above
    JOIN pg_catalog.pg_class named ON named.oid = above.relid
    JOIN pg_catalog.pg_namespace n ON n.oid = named.relnamespace
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
   WHERE leaf.relkind = 'r' AND leaf.relpersistence = 'p' AND pg_catalog.pg_relation_filenode(leaf.oid) IS NOT NULL
     AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   ORDER BY 1, 2, leaf.oid`;
