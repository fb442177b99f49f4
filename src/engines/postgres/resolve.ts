import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { TableRelation } from '../../model/relation.ts';
import { parseNameParts } from '../../model/table.ts';
import { goneTables, type NamedTable, resolveNames } from '../named-table.ts';
import { withConnection } from './connection.ts';

const OTHER_KINDS: Record<string, string> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
};
const HINTS = {
  where: 'in this db',
  bare: 'A name without a schema means schema public, whatever the search path is',
};

/**
 * Engine.resolveTables: what `table`, `schema.table` or `db.schema.table` means in the connected db, as
 * `schema.table`. A bare name is looked for in `public` alone: a search path differs between people. A table that
 * only `known` has is gone from production, and may be named all the same.
 */
export async function resolveTables(
  access: ServerAccess,
  tables: readonly string[],
  run: Run,
  known: readonly TableRelation[] = [],
): Promise<string[]> {
  const wanted = tables.map((text) => wantedTable(text, access));
  const session = {
    signal: run.signal,
    applicationName: 'tables',
    readOnly: true,
    statementTimeoutMs: 60_000,
  };
  const relations = await withConnection(access, session, async (client) => {
    const { rows } = await client.query<{ schema: string; name: string; kind: string }>(
      `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
          AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`,
    );
    return rows.map(({ schema, name, kind }) => ({ schema, name, other: OTHER_KINDS[kind] ?? null }));
  });
  return resolveNames(wanted, [...relations, ...goneTables(relations, namesOf(known, access))], HINTS);
}

/** The same where production does not answer: by what manifests know alone. */
export function resolveKnownTables(
  access: ServerAccess,
  tables: readonly string[],
  known: readonly TableRelation[],
): string[] {
  const wanted = tables.map((text) => wantedTable(text, access));
  return resolveNames(wanted, goneTables([], namesOf(known, access)), HINTS);
}

/** What manifests know of this db. */
function namesOf(known: readonly TableRelation[], { database }: ServerAccess): string[] {
  return known.filter(({ db }) => db === database).map(({ table }) => table);
}

function wantedTable(text: string, access: ServerAccess): NamedTable {
  const [name = '', schema = 'public', database, ...more] = parseNameParts(text).reverse();
  if (more.length > 0) {
    throw new HoldfastError('InvalidInput', `"${text}" has too many parts for a table`, {
      hint: 'write schema.table, or db.schema.table',
    });
  }
  if (database !== undefined && database !== access.database) {
    throw new HoldfastError(
      'NotSupported',
      `table ${text} is in db "${database}", not in the connected one`,
      {
        hint: `the connection names db "${access.database}": configure a database whose connection.database is "${database}"`,
      },
    );
  }
  return { text, schema, name };
}
