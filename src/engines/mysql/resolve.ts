import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { TableRelation } from '../../model/relation.ts';
import { parseNameParts } from '../../model/table.ts';
import { goneTables, type NamedTable, resolveNames } from '../named-table.ts';
import { withConnection } from './connection.ts';
import { quoteLiteral } from './identifier.ts';
import { SYSTEM_DATABASES } from './inspect.ts';

const OTHER_TYPES: Record<string, string> = { VIEW: 'a view', SEQUENCE: 'a sequence' };
const HINTS = {
  where: 'on this server',
  bare: 'A name without a db means the db that the connection names',
};

/**
 * Engine.resolveTables: what `table` or `db.table` means, as `db.table`. A bare name is looked for in the connected db
 * alone. A table that only `known` has is gone from production, and may be named all the same.
 */
export async function resolveTables(
  access: ServerAccess,
  tables: readonly string[],
  run: Run,
  known: readonly TableRelation[] = [],
): Promise<string[]> {
  const wanted = tables.map((text) => wantedTable(text, access));
  const session = { applicationName: 'tables', readOnly: true, statementTimeoutMs: 60_000 };
  const rows = await withConnection(
    access,
    run,
    (connection) =>
      connection.query<{ db: string; name: string; type: string }>(
        `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES
          WHERE TABLE_SCHEMA NOT IN (${SYSTEM_DATABASES.map(quoteLiteral).join(', ')})`,
      ),
    session,
  );
  const relations = rows.map(({ db, name, type }) => ({
    schema: db,
    name,
    other: OTHER_TYPES[type] ?? null,
  }));
  const gone = goneTables(
    relations,
    known.map(({ table }) => table),
  );
  return resolveNames(wanted, [...relations, ...gone], HINTS);
}

function wantedTable(text: string, access: ServerAccess): NamedTable {
  const [name = '', schema = access.database, ...more] = parseNameParts(text).reverse();
  if (more.length > 0) {
    throw new HoldfastError('InvalidInput', `"${text}" has too many parts for a table`, {
      hint: 'write table, or db.table; a dot within a name is quoted: "my.table"',
    });
  }
  if (schema !== '') return { text, schema, name };
  throw new HoldfastError('InvalidInput', `"${text}" names no db, and the connection is to none`, {
    hint: `write db.${text}, or set connection.database in the configuration`,
  });
}
