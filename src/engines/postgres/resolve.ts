import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { TableRelation } from '../../model/relation.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { withConnection } from './connection.ts';

interface Relation {
  schema: string;
  name: string;
  kind: string;
}

const OTHER_KINDS: Record<string, string> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
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
    const { rows } = await client.query<Relation>(
      `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
          AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`,
    );
    return rows;
  });
  return resolveAll(wanted, [...relations, ...goneTables(access, relations, known)]);
}

/** The same where production does not answer: by what manifests know alone. */
export function resolveKnownTables(
  access: ServerAccess,
  tables: readonly string[],
  known: readonly TableRelation[],
): string[] {
  const wanted = tables.map((text) => wantedTable(text, access));
  return resolveAll(wanted, goneTables(access, [], known));
}

function resolveAll(wanted: readonly Wanted[], relations: readonly Relation[]): string[] {
  return [...new Set(wanted.map((table) => resolveOne(table, relations)))];
}

/** What manifests know of this db, and production does not have. */
function goneTables(
  access: ServerAccess,
  relations: readonly Relation[],
  known: readonly TableRelation[],
): Relation[] {
  const present = new Set(relations.map(({ schema, name }) => formatNameParts([schema, name])));
  const gone = new Set(
    known.filter(({ db, table }) => db === access.database && !present.has(table)).map(({ table }) => table),
  );
  return [...gone].map((table) => {
    const [schema = '', name = ''] = parseNameParts(table);
    return { schema, name, kind: 'r' };
  });
}

interface Wanted {
  text: string;
  schema: string;
  name: string;
}

function wantedTable(text: string, access: ServerAccess): Wanted {
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

/** Exported for its unit test. */
export function resolveOne(table: Wanted, relations: readonly Relation[]): string {
  const found = relations.find((one) => one.name === table.name && one.schema === table.schema);
  const other = found === undefined ? undefined : OTHER_KINDS[found.kind];
  if (found !== undefined && other === undefined) return formatNameParts([found.schema, found.name]);
  if (other !== undefined) {
    throw new HoldfastError('UnknownTable', `${table.text} is ${other}, not a table`, {
      hint: 'name the tables that its rows come from',
    });
  }
  const near = nearest(
    table,
    relations.filter((one) => OTHER_KINDS[one.kind] === undefined),
  );
  const isBare = parseNameParts(table.text).length === 1;
  const bare = isBare && near.some((one) => one.name === table.name && one.schema !== 'public');
  throw new HoldfastError(
    'UnknownTable',
    `there is no table ${formatNameParts([table.schema, table.name])}`,
    {
      hint:
        near.length === 0
          ? 'there is no table with a similar name in this db'
          : `did you mean ${near.map((one) => formatNameParts([one.schema, one.name])).join(' or ')}?${bare ? ' A name without a schema means schema public, whatever the search path is' : ''}`,
    },
  );
}

/** The same name in another schema or case first, then by edits. */
function nearest(table: Wanted, relations: readonly Relation[]): Relation[] {
  const name = table.name.toLowerCase();
  const limit = Math.max(2, Math.ceil(name.length / 3));
  return relations
    .map((one) => ({ one, edits: editDistance(one.name.toLowerCase(), name) }))
    .filter(({ edits }) => edits <= limit)
    .sort(
      (a, b) =>
        a.edits - b.edits || Number(b.one.schema === table.schema) - Number(a.one.schema === table.schema),
    )
    .slice(0, 3)
    .map(({ one }) => one);
}

/** Levenshtein's distance; names have at most 63 bytes. */
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
