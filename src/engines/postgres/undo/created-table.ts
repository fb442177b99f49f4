import type pg from 'pg';
import { formatNameParts } from '../../../model/table.ts';
import type { UndoTable } from '../../contract/change.ts';
import { describeIfThere } from '../compare/describe.ts';
import type { Relation } from '../compare/relation.ts';

/** A table that the import made: it is dropped, or stays. */
export interface CreatedTable {
  data: UndoTable;
  /** null: it is gone already */
  relation: Relation | null;
  rows: number;
  /** rows that are not as the import left them, or a table that has been altered */
  isChanged: boolean;
  /** what else needs it, for people; of a foreign key the table that has it, and of inheritance the child */
  dependents: Dependent[];
}

export interface Dependent {
  name: string;
  tableOid: number | null;
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

/** What goes with a table though it names its columns. */
const OWN = [
  ['pg_constraint', 'conrelid'],
  ['pg_attrdef', 'adrelid'],
  ['pg_policy', 'polrelid'],
  ['pg_trigger', 'tgrelid'],
]
  .map(
    ([catalog, table]) =>
      `SELECT tableoid, oid FROM pg_catalog.${catalog} WHERE ${table} = $1::pg_catalog.oid`,
  )
  .join(' UNION ALL ');

/** Objects outside the table that would keep it from being dropped: views, functions, foreign keys, children. */
async function dependentsOf(client: pg.Client, oid: number): Promise<Dependent[]> {
  const { rows } = await client.query<{ name: string; table: string | null }>(
    `SELECT DISTINCT CASE WHEN d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
         THEN (SELECT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0)
           FROM pg_catalog.pg_rewrite r WHERE r.oid = d.objid)
         ELSE pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) END AS name,
       CASE d.classid
         WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass
           THEN (SELECT k.conrelid::pg_catalog.text FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid)
         WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.objid::pg_catalog.text END AS table
     FROM pg_catalog.pg_depend d
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1::pg_catalog.oid
       AND d.deptype = 'n' AND (d.classid, d.objid) NOT IN (${OWN})
     ORDER BY 1`,
    [oid],
  );
  return rows.map(({ name, table }) => ({ name, tableOid: table === null ? null : Number(table) }));
}
