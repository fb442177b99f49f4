import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { TableRelation } from '../../model/relation.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { withConnection } from './connection.ts';
import { quoteLiteral } from './identifier.ts';
import { SYSTEM_DATABASES } from './inspect.ts';

interface Relation {
  db: string;
  name: string;
  /** as information_schema has it */
  type: string;
}

const OTHER_TYPES: Record<string, string> = { VIEW: 'a view', SEQUENCE: 'a sequence' };

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
  const relations = await withConnection(
    access,
    run,
    (connection) =>
      connection.query<Relation>(
        `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES
          WHERE TABLE_SCHEMA NOT IN (${SYSTEM_DATABASES.map(quoteLiteral).join(', ')})`,
      ),
    session,
  );
  const present = new Set(relations.map(({ db, name }) => formatNameParts([db, name])));
  const gone = known
    .filter(({ table }) => !present.has(table))
    .map(({ table }): Relation => {
      const [name = '', db = ''] = parseNameParts(table).reverse();
      return { db, name, type: 'BASE TABLE' };
    });
  return [...new Set(wanted.map((table) => resolveOne(table, [...relations, ...gone])))];
}

interface Wanted {
  text: string;
  db: string;
  name: string;
}

function wantedTable(text: string, access: ServerAccess): Wanted {
  const [name = '', db = access.database, ...more] = parseNameParts(text).reverse();
  if (more.length > 0) {
    throw new HoldfastError('InvalidInput', `"${text}" has too many parts for a table`, {
      hint: 'write table, or db.table; a dot within a name is quoted: "my.table"',
    });
  }
  if (db !== '') return { text, db, name };
  throw new HoldfastError('InvalidInput', `"${text}" names no db, and the connection is to none`, {
    hint: `write db.${text}, or set connection.database in the configuration`,
  });
}

/** Exported for its unit test. */
export function resolveOne(table: Wanted, relations: readonly Relation[]): string {
  const found = relations.find((one) => one.name === table.name && one.db === table.db);
  const other = found === undefined ? undefined : OTHER_TYPES[found.type];
  if (found !== undefined && other === undefined) return formatNameParts([found.db, found.name]);
  if (other !== undefined) {
    throw new HoldfastError('UnknownTable', `${table.text} is ${other}, not a table`, {
      hint: 'name the tables that its rows come from',
    });
  }
  const near = nearest(
    table,
    relations.filter(({ type }) => OTHER_TYPES[type] === undefined),
  );
  const names = near.map(({ db, name }) => formatNameParts([db, name])).join(' or ');
  const isBare = parseNameParts(table.text).length === 1;
  const elsewhere = isBare && near.some((one) => one.name === table.name);
  throw new HoldfastError('UnknownTable', `there is no table ${formatNameParts([table.db, table.name])}`, {
    hint:
      near.length === 0
        ? 'there is no table with a similar name on this server'
        : `did you mean ${names}?${elsewhere ? ' A name without a db means the db that the connection names' : ''}`,
  });
}

/** The same name in another db or case first, then by edits. */
function nearest(table: Wanted, relations: readonly Relation[]): Relation[] {
  const name = table.name.toLowerCase();
  const limit = Math.max(2, Math.ceil(name.length / 3));
  return relations
    .map((one) => ({ one, edits: editDistance(one.name.toLowerCase(), name) }))
    .filter(({ edits }) => edits <= limit)
    .sort((a, b) => a.edits - b.edits || Number(b.one.db === table.db) - Number(a.one.db === table.db))
    .slice(0, 3)
    .map(({ one }) => one);
}

/** Levenshtein's distance; names have at most 64 characters. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
