import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { UndoTable } from '../../contract/change.ts';
import { columnOf, describeIfThere } from '../compare/describe.ts';
import { isExact } from '../compare/key-order.ts';
import { type Column, isKey, type Relation, type UniqueIndex } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';

/** A table of the import as production has it now; what has become of its rows is in {@link UndoneTable.rows}. */
export interface UndoneTable {
  data: UndoTable;
  relation: Relation;
  /** null: rows are known by their place, and only those that the import inserted */
  key: UniqueIndex | null;
  /** equal keys are always written alike */
  keyIsExact: boolean;
  /** the temporary table with every row of the undo data: see stage.ts */
  rows: string;
  /** the columns that it has of a row that was replaced: their types, below any domain */
  types: ReadonlyMap<string, string>;
  /** those of them that production computes, with what it computes */
  generated: ReadonlyMap<string, string>;
  /** those of them that an UPDATE cannot set: GENERATED ALWAYS AS IDENTITY */
  fixed: ReadonlySet<string>;
  /** unique keys that are looked at when a transaction ends, not before */
  deferrable: ReadonlySet<string>;
  /** rows that others have changed or removed */
  changed: number;
  /** rows that are as the import left them */
  ours: number;
  /** without a key: inserted rows that are not there any more as the import left them */
  unknown: number;
  /** without a key: rows beyond them that look like the import's */
  surplus: number;
}

/**
 * The table as it is now. Throws NotSupported where what the import replaced cannot be put back into it: it is
 * gone, has lost a column or its key; PermissionDenied where rows are hidden.
 */
export async function describeUndone(
  client: pg.Client,
  data: UndoTable,
  index: number,
): Promise<UndoneTable> {
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
  const names = new Set([...(data.key ?? []), ...(data.replaced === null ? [] : data.columns)]);
  const lost = [...names].find((name) => {
    const column = columnOf(relation, name);
    return column === undefined || (column.generated && data.columns.includes(name));
  });
  if (lost !== undefined) refuse(`its column ${lost} is gone since`);
  const key = data.key === null ? null : keyOf(relation, data.key);
  if (key === undefined) return refuse('the key by which its rows are known is gone since');
  const described = await describeColumns(client, relation, names);
  return {
    data,
    relation,
    key,
    keyIsExact: (data.key ?? []).every((name) => isExact(columnOf(relation, name) as Column)),
    rows: `pg_temp.${quoteIdentifier(`holdfast_undo_${index}`)}`,
    ...described,
    changed: 0,
    ours: 0,
    unknown: 0,
    surplus: 0,
  };
}

/** Of the stored columns and those that can be computed of them. */
async function describeColumns(
  client: pg.Client,
  relation: Relation,
  stored: ReadonlySet<string>,
): Promise<Pick<UndoneTable, 'types' | 'generated' | 'fixed' | 'deferrable'>> {
  const { rows } = await client.query<{
    name: string;
    type: string;
    generated: string | null;
    fixed: boolean;
    reads: string[];
  }>(
    `WITH RECURSIVE typed AS (
       SELECT a.attnum, a.attname, a.atttypid AS type FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
       UNION ALL SELECT d.attnum, d.attname, t.typbasetype FROM typed d
       JOIN pg_catalog.pg_type t ON t.oid = d.type AND t.typtype = 'd')
     SELECT d.attname AS name, pg_catalog.format_type(d.type, -1) AS type,
       a.attidentity = 'a' AS fixed,
       CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END AS generated,
       ARRAY(SELECT c.attname::pg_catalog.text FROM pg_catalog.pg_depend r JOIN pg_catalog.pg_attribute c
         ON c.attrelid = r.refobjid AND c.attnum = r.refobjsubid AND c.attnum <> a.attnum
         WHERE (r.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND r.objid = f.oid
             OR r.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.objid = a.attrelid AND r.objsubid = a.attnum)
           AND r.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.refobjid = a.attrelid) AS reads
     FROM typed d JOIN pg_catalog.pg_type t ON t.oid = d.type AND t.typtype <> 'd'
     JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::pg_catalog.oid AND a.attnum = d.attnum
     LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum AND a.attgenerated <> ''
     ORDER BY d.attnum`,
    [relation.oid],
  );
  const read = new Set([
    ...relation.uniques.flatMap(({ reads }) => reads),
    ...relation.foreignKeys.flatMap(({ columns }) => columns),
    ...relation.referencedBy.flatMap(({ parentColumns }) => parentColumns),
  ]);
  const computed = rows.filter(
    ({ name, generated, reads }) =>
      generated !== null && read.has(name) && reads.every((column) => stored.has(column)),
  );
  const generated = new Map(computed.map(({ name, generated: expression }) => [name, expression as string]));
  const { rows: late } = await client.query<{ name: string }>(
    `SELECT x.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
     WHERE i.indrelid = $1::pg_catalog.oid AND NOT i.indimmediate`,
    [relation.oid],
  );
  return {
    types: new Map(
      rows
        .filter(({ name }) => stored.has(name) || generated.has(name))
        .map(({ name, type }) => [name, type]),
    ),
    generated,
    fixed: new Set(rows.flatMap(({ name, fixed }) => (fixed && stored.has(name) ? [name] : []))),
    deferrable: new Set(late.map(({ name }) => name)),
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
