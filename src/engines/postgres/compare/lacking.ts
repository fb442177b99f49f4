import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { CONFLICT_RULES, type ConflictRule } from '../../../model/plan.ts';
import type { Sides } from './differences.ts';
import type { TablePair } from './table-pair.ts';

/** Something of which a table is made, as pg_identify_object names it. */
interface Thing {
  /** oid of the table in the restored copy */
  table: number;
  /** catalog that holds it: `pg_type` */
  catalog: string;
  /** `type`, `function`, `sequence` */
  kind: string;
  /** qualified, and the same on every server: `public.noted()` */
  identity: string;
  /** of a column itself: a copy beside the table needs that too */
  ofColumn: boolean;
}

/**
 * A table cannot be made of what production lacks, for instance a type that went with it: that is said before
 * anybody approves it. What belongs to these tables themselves comes back with them.
 */
export async function refuseLacking(sides: Sides, pairs: readonly TablePair[]): Promise<void> {
  const things = await findLacking(sides.production, await thingsOf(sides.restored, pairs));
  for (const pair of pairs) {
    const lacking = things.filter(({ table }) => table === pair.restored.oid);
    const ofColumns = lacking.filter(({ ofColumn }) => ofColumn);
    if (pair.gone) {
      const instead = ofColumns.length === 0 ? ', or choose side-by-side' : '';
      for (const rule of CONFLICT_RULES) if (rule !== 'side-by-side') refuse(pair, rule, lacking, instead);
    }
    refuse(pair, 'side-by-side', ofColumns, '');
  }
}

function refuse(pair: TablePair, rule: ConflictRule, lacking: readonly Thing[], instead: string): void {
  if (lacking.length === 0) return;
  const names = [...new Set(lacking.map(({ kind, identity }) => `${kind} ${identity}`))].sort();
  const made = rule === 'side-by-side' ? `a copy beside ${pair.table}` : pair.table;
  pair.refusals[rule] ??= new HoldfastError(
    'NotSupported',
    `production lacks ${names.join(', ')}, of which ${made} is to be made`,
    { hint: `create that there first, and start the recovery again${instead}` },
  );
}

/**
 * What the catalogs know no dependency on is part of every server. The index to which a foreign key refers may have
 * another name by now.
 */
async function thingsOf(restored: pg.Client, pairs: readonly TablePair[]): Promise<Thing[]> {
  const { rows } = await restored.query<Thing>(
    `WITH RECURSIVE own(root, classid, objid) AS (
       SELECT t, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, t FROM unnest($1::pg_catalog.oid[]) AS u(t)
       UNION SELECT o.root, d.classid, d.objid FROM own o JOIN pg_catalog.pg_depend d
         ON d.refclassid = o.classid AND d.refobjid = o.objid AND d.deptype IN ('a', 'i', 'P', 'S')),
     needed AS (
       SELECT o.root, d.refclassid, d.refobjid, bool_or(d.objid = o.root AND d.objsubid > 0 AND d.refclassid <> d.classid) AS of_column
       FROM own o JOIN pg_catalog.pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'n'
       WHERE (d.refclassid, d.refobjid) NOT IN (SELECT classid, objid FROM own WHERE root = ANY ($2))
       GROUP BY 1, 2, 3)
     SELECT n.root::pg_catalog.int8 AS "table", c.relname AS catalog, i.type AS kind, i.identity, n.of_column AS "ofColumn"
     FROM needed n JOIN pg_catalog.pg_class c ON c.oid = n.refclassid,
       pg_catalog.pg_identify_object(n.refclassid, n.refobjid, 0) AS i
     WHERE i.type <> 'index'`,
    [
      pairs.map(({ restored: { oid } }) => oid),
      pairs.flatMap((pair) => (pair.gone ? pair.restored.oid : [])),
    ],
  );
  return rows.map((row) => ({ ...row, table: Number(row.table) }));
}

/** Functions by what is there, since a name with the type of an argument that is gone is an error. */
const THERE = ['pg_proc', 'pg_operator', 'pg_opclass', 'pg_collation'];

async function findLacking(production: pg.Client, things: readonly Thing[]): Promise<Thing[]> {
  const found = THERE.map(
    (catalog) => `WHEN '${catalog}' THEN identity NOT IN (SELECT (pg_catalog.pg_identify_object(
       'pg_catalog.${catalog}'::pg_catalog.regclass, o.oid, 0)).identity FROM pg_catalog.${catalog} o)`,
  );
  const { rows } = await production.query<{ lacks: boolean }>(
    `SELECT CASE catalog WHEN 'pg_type' THEN pg_catalog.to_regtype(identity) IS NULL
       WHEN 'pg_class' THEN pg_catalog.to_regclass(identity) IS NULL ${found.join(' ')} ELSE false END AS lacks
     FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) WITH ORDINALITY AS u(catalog, identity, n) ORDER BY n`,
    [things.map(({ catalog }) => catalog), things.map(({ identity }) => identity)],
  );
  return things.filter((_, index) => rows[index]?.lacks === true);
}
