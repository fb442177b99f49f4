import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { UndoTable } from '../../engine.ts';
import { columnOf, describeIfThere } from '../compare/describe.ts';
import { isKey, type Relation, type UniqueIndex } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { Kind, UndoLine } from './undo-lines.ts';
import { fieldsOf } from './undo-lines.ts';

/** What has become of a row of the import since; `same`: somebody has put it back as it was before. */
export const STATES = { absent: 0, ours: 1, changed: 2, same: 3 } as const;

/** A table of the import as production has it now. */
export interface UndoneTable {
  data: UndoTable;
  relation: Relation;
  /** null: rows are known by their place, and only those that the import inserted */
  key: UniqueIndex | null;
  /** per row of the undo data (of a table without a key, first the inserted rows that are still there) */
  kinds: Kind[];
  states: number[];
  /** the transactions that wrote what others have changed */
  writers: Map<number, string>;
  /** production's own text of a row's key (or place) */
  ordinals: Map<string, number>;
  /** without a key: inserted rows that are there as the import left them, and come first; and that are not */
  placed: number;
  unknown: number;
}

/** A table that the import made: it is dropped, or stays. */
export interface CreatedTable {
  data: UndoTable;
  /** null: it is gone already */
  relation: Relation | null;
  rows: number;
  /** rows that are not as the import left them, or a table that has been altered */
  isChanged: boolean;
  /** what else needs it, for people; of a foreign key, the table that has it */
  dependents: Dependent[];
}

export interface Dependent {
  name: string;
  tableOid: number | null;
}

/**
 * The table as it is now. Throws NotSupported where what the import replaced cannot be put back into it: it is
 * gone, has lost a column or its key; PermissionDenied where rows are hidden.
 */
export async function describeUndone(client: pg.Client, data: UndoTable): Promise<UndoneTable> {
  const relation = await describeIfThere(client, data.table);
  const refuse = (what: string): never => {
    throw new HoldfastError('NotSupported', `the import into ${data.table} cannot be taken back: ${what}`, {
      hint: 'recover to the moment before the import instead: holdfast restore pitr',
    });
  };
  if (relation === null) return refuse('the table is gone since');
  if (relation.rowSecurityActive || !relation.rights.select) {
    throw new HoldfastError(
      'PermissionDenied',
      `the configured user does not see all rows of ${data.table}`,
      {
        hint: 'connect as the owner of the table, or as a role with BYPASSRLS that may read it',
      },
    );
  }
  const lost = [...(data.key ?? []), ...(data.replaced === null ? [] : data.columns)].find((name) => {
    const column = columnOf(relation, name);
    return column === undefined || (column.generated && data.columns.includes(name));
  });
  if (lost !== undefined) refuse(`its column ${lost} is gone since`);
  const key = data.key === null ? null : keyOf(relation, data.key);
  if (key === undefined) return refuse('the key by which its rows are known is gone since');
  return {
    data,
    relation,
    key,
    kinds: [],
    states: [],
    writers: new Map(),
    ordinals: new Map(),
    placed: 0,
    unknown: 0,
  };
}

function keyOf(relation: Relation, names: readonly string[]): UniqueIndex | undefined {
  const wanted = names.toSorted().join('\0');
  return relation.uniques.find(
    (index) =>
      isKey(relation, index) &&
      index.parts
        .map(({ column }) => column)
        .toSorted()
        .join('\0') === wanted,
  );
}

/** The values of a row's key, in the order of the index. */
export function keyValues({ data, key }: UndoneTable, line: UndoLine): string[] {
  const fields = fieldsOf(line.text);
  const names = line.kind === 'i' ? (data.key ?? []) : data.columns;
  return (key?.parts ?? []).map(({ column }) => fields[names.indexOf(column as string)] as string);
}

/** SQL of what tells a row of production from others, as {@link UndoneTable.ordinals} has it: texts to be joined by tabs. */
export function identity({ key }: Pick<UndoneTable, 'key'>, alias: string): string[] {
  if (key === null) return [`${alias}.tableoid::pg_catalog.text`, `${alias}.ctid::pg_catalog.text`];
  return key.parts.map(({ column }) => `${alias}.${quoteIdentifier(column as string)}::pg_catalog.text`);
}

/** By id where the import knows it, so that a renamed table is found and another of the name is not dropped. */
export async function describeCreated(
  client: pg.Client,
  data: UndoTable,
  transaction: string,
): Promise<CreatedTable> {
  const { rows } = await client.query<{ schema: string; name: string; altered: boolean }>(
    `SELECT n.nspname AS schema, c.relname AS name, c.xmin::pg_catalog.text <> $2 AS altered
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = $1::pg_catalog.oid AND c.relkind IN ('r', 'p')`,
    [data.createdId, transaction],
  );
  const [found] = rows;
  const relation =
    found === undefined ? null : await describeIfThere(client, formatNameParts([found.schema, found.name]));
  if (found === undefined || relation === null) {
    return { data, relation: null, rows: 0, isChanged: false, dependents: [] };
  }
  const { rows: counts } = await client.query<{ rows: string; ours: string }>(
    `SELECT pg_catalog.count(*) AS rows, pg_catalog.count(*) FILTER (WHERE t.xmin = $1::pg_catalog.xid) AS ours
     FROM ${relation.source} AS t`,
    [transaction],
  );
  const count = Number(counts[0]?.rows);
  const isSame = count === data.counts.inserted && Number(counts[0]?.ours) === count;
  return {
    data,
    relation,
    rows: count,
    isChanged: found.altered || !isSame,
    dependents: await dependentsOf(client, relation.oid),
  };
}

/** Objects outside the table that would keep it from being dropped: views, functions, foreign keys, children. */
async function dependentsOf(client: pg.Client, oid: number): Promise<Dependent[]> {
  const { rows } = await client.query<{ name: string; table: string | null }>(
    `SELECT DISTINCT CASE WHEN d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
         THEN (SELECT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0)
           FROM pg_catalog.pg_rewrite r WHERE r.oid = d.objid)
         ELSE pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) END AS name,
       CASE WHEN d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
         THEN (SELECT k.conrelid::pg_catalog.text FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid) END AS table
     FROM pg_catalog.pg_depend d
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1::pg_catalog.oid
       AND d.deptype = 'n'
       AND NOT (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND EXISTS (
         SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid AND k.conrelid = $1::pg_catalog.oid))
       AND NOT (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND EXISTS (
         SELECT FROM pg_catalog.pg_attrdef f WHERE f.oid = d.objid AND f.adrelid = $1::pg_catalog.oid))
     ORDER BY 1`,
    [oid],
  );
  return rows.map(({ name, table }) => ({ name, tableOid: table === null ? null : Number(table) }));
}
