import { quoteIdentifier, quoteLiteral } from '../../../src/engines/postgres/identifier.ts';
import type { ServerAccess } from '../../../src/model/access.ts';
import { query, type Sides } from '../postgres-sides-fixture.ts';
import { quoted, type RandomSchema, type RandomTable } from './schema.ts';

/** How many rows of a table differ, in each of the ways. */
export interface Counts {
  missing: number;
  changed: number;
  extra: number;
}

/** A db that sees both sides as schemas `live` and `copy`. */
export async function makeModel(admin: ServerAccess, sides: Sides): Promise<ServerAccess> {
  const model = { ...admin, database: 'model' };
  await query(admin, 'CREATE DATABASE model');
  const servers = Object.entries({ live: sides.production, copy: sides.restored }).map(
    ([name, access]) => `
    CREATE SERVER ${name} FOREIGN DATA WRAPPER postgres_fdw OPTIONS
      (host ${quoteLiteral(access.host)}, port '${access.port}', dbname ${quoteLiteral(access.database)});
    CREATE USER MAPPING FOR CURRENT_USER SERVER ${name} OPTIONS
      (user ${quoteLiteral(access.user)}, password ${quoteLiteral(access.password ?? '')});`,
  );
  await query(
    model,
    `CREATE EXTENSION postgres_fdw; ${servers.join('')}
     CREATE TYPE public.mood AS ENUM ('sad', 'happy; ''x''')`,
  );
  return model;
}

/** The two sides of each table, joined in full by the key: what PostgreSQL itself says of their differences. */
export async function countDifferences(
  model: ServerAccess,
  schema: RandomSchema,
  lost: (table: RandomTable) => string | null,
): Promise<Counts[]> {
  const imports = ['live', 'copy'].map(
    (side) => `DROP SCHEMA IF EXISTS ${side} CASCADE; CREATE SCHEMA ${side};
      IMPORT FOREIGN SCHEMA public FROM SERVER ${side} INTO ${side}`,
  );
  const counts = schema.map((table) => `(${differenceQuery(table, lost(table))})`);
  const rows = await query(model, `${imports.join('; ')}; ${counts.join(' UNION ALL ')} ORDER BY position`);
  return rows.map(({ missing, changed, extra }) => ({ missing, changed, extra }) as unknown as Counts);

  function differenceQuery(table: RandomTable, lostColumn: string | null): string {
    const side = (name: string) =>
      `(SELECT *, ${sideColumns(table, lostColumn)} FROM ${name}.${table.name.replace('public.', '')} AS t) AS ${name}`;
    const on = [
      ...keysOf(table).map((expression) => `live.${expression} = copy.${expression}`),
      ...(table.kind === 'none'
        ? ['live.row_text = copy.row_text', 'live.row_number = copy.row_number']
        : []),
    ];
    const differs = table.kind === 'none' ? 'false' : 'live.row_text IS DISTINCT FROM copy.row_text';
    return `SELECT ${schema.indexOf(table)} AS position, (count(*) FILTER (WHERE live.here IS NULL))::int AS missing,
        (count(*) FILTER (WHERE copy.here IS NULL))::int AS extra,
        (count(*) FILTER (WHERE live.here AND copy.here AND ${differs}))::int AS changed
      FROM ${side('live')} FULL JOIN ${side('copy')} ON ${on.join(' AND ')}`;
  }
}

/** The columns by which rows are matched. Intervals that are equal may be written differently: those are two keys. */
function keysOf(table: RandomTable): string[] {
  const keys = table.columns.filter(({ role }) => role === 'key');
  return keys.map(({ name, type }) => (type === 'interval' ? 'key_text' : quoteIdentifier(name)));
}

function sideColumns(table: RandomTable, lost: string | null): string {
  const text = `${rowText(table, lost)} COLLATE "C"`;
  return [
    'true AS here',
    `${text} AS row_text`,
    `row_number() OVER (PARTITION BY ${text}) AS row_number`,
    ...(table.kind === 'interval' ? ['t.id::text AS key_text'] : []),
  ].join(', ');
}

/** What the two sides have in common of a row, as text. */
function rowText(table: RandomTable, lost: string | null): string {
  const columns = table.columns.filter(({ role, name }) => role !== 'computed' && name !== lost);
  return `ROW(${columns.map(({ name }) => `t.${quoteIdentifier(name)}`).join(', ')})::text`;
}

/** A row by what identifies it: as text with all its columns, and with those that the sides have in common. */
export type Rows = Map<string, { whole: string; common: string }>;

export async function readRows(
  read: Sides['live'],
  schema: RandomSchema,
  lost: (table: RandomTable) => string | null,
): Promise<Rows[]> {
  const selects = schema.map((table, position) => {
    const keys = table.columns.flatMap(({ role, name, type }) => {
      if (role !== 'key') return [];
      const column = `t.${quoteIdentifier(name)}`;
      return type === 'numeric' ? [`trim_scale(${column})`] : [column];
    });
    const common = rowText(table, lost(table));
    const key =
      table.kind === 'none'
        ? `ROW(${common}, row_number() OVER (PARTITION BY ${common} COLLATE "C" ORDER BY t::text COLLATE "C"))::text`
        : `ROW(${keys.join(', ')})::text`;
    return `SELECT ${position} AS position, ${key} AS key, t::text AS whole, ${common} AS common FROM ${table.name} AS t`;
  });
  const all: Rows[] = schema.map(() => new Map());
  for (const { position, key, whole, common } of await read(selects.join(' UNION ALL '))) {
    all[position as number]?.set(key as string, { whole: whole as string, common: common as string });
  }
  return all;
}

/** Foreign keys that do not hold: always none, since nobody may switch them off. */
export async function brokenReferences(read: Sides['live'], schema: RandomSchema): Promise<string[]> {
  const broken: string[] = [];
  for (const { name, references } of schema) {
    for (const { columns, parent, parentColumns } of references) {
      const child = columns.map((column) => `c.${quoteIdentifier(column)}`);
      const same = parentColumns.map((column, at) => `p.${quoteIdentifier(column)} = ${child[at]}`);
      const rows =
        await read(`SELECT 1 FROM ${name} AS c WHERE ${child.map((one) => `${one} IS NOT NULL`).join(' AND ')}
        AND NOT EXISTS (SELECT FROM ${parent} AS p WHERE ${same.join(' AND ')})`);
      if (rows.length > 0) broken.push(`${name} (${quoted(columns)})`);
    }
  }
  return broken;
}
