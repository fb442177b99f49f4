import { parseNameParts } from '../../../model/table.ts';
import type { Connection } from '../connection.ts';
import { quoteTable } from '../identifier.ts';
import { readColumns, type TableColumn } from '../row-hash.ts';

/** What a server says about a table, as far as comparing and importing need it. */
export interface Table {
  schema: string;
  name: string;
  /** `db`.`table` */
  qualified: string;
  engine: string;
  systemVersioned: boolean;
  columns: Column[];
  uniques: UniqueIndex[];
  foreignKeys: ForeignKey[];
  /** foreign keys of other tables, and its own, that refer to this one */
  referencedBy: ForeignKey[];
  triggers: Trigger[];
  checks: CheckConstraint[];
  /** of data and indexes, as the server estimates them */
  bytes: number;
}

export interface Column extends TableColumn {
  hasDefault: boolean;
  /** ON UPDATE CURRENT_TIMESTAMP */
  automatic?: boolean;
}

export interface UniqueIndex {
  name: string;
  parts: IndexPart[];
}

export interface IndexPart {
  /** null: an expression */
  column: string | null;
  /** only so many characters or bytes count; null: all */
  length: number | null;
}

export interface ForeignKey {
  name: string;
  child: string[];
  columns: string[];
  parent: string[];
  parentColumns: string[];
  /** CASCADE, SET NULL, RESTRICT, NO ACTION */
  onDelete: string;
  onUpdate: string;
}

export interface CheckConstraint {
  name: string;
  /** over the table's columns, without the word CHECK */
  clause: string;
}

export interface Trigger {
  name: string;
  event: 'INSERT' | 'UPDATE' | 'DELETE';
  /** `user@host` */
  definer: string;
}

/** The parts of `db.table`; a name without its db is one of that db. */
export function partsOf(table: string, database: string): [string, string] {
  const parts = parseNameParts(table);
  return parts.length === 1 ? [database, parts[0] as string] : [parts[0] as string, parts.slice(1).join('.')];
}

export const columnOf = (table: Table, name: string): Column | undefined =>
  table.columns.find((column) => column.name === name);

/** Those columns of a table, in that order. */
export function columnsOf(table: Table, names: readonly string[]): Column[] {
  return names.map((name) => {
    const column = columnOf(table, name);
    if (column === undefined) throw new Error(`${table.name} has no column ${name}`);
    return column;
  });
}

export const isSameTable = (one: readonly string[], other: readonly string[]): boolean =>
  one[0] === other[0] && one[1] === other[1];

/** Reads a base table's description; null: there is none of that name, or a view. */
export async function describeTable(
  session: Connection,
  [schema, name]: readonly [string, string],
): Promise<Table | null> {
  const here = 'table_schema = ? AND table_name = ?';
  const [table] = await session.query<{ engine: string; type: string; bytes: string }>(
    `SELECT engine AS engine, table_type AS type, data_length + index_length AS bytes
     FROM information_schema.tables WHERE ${here} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')`,
    [schema, name],
  );
  if (table === undefined) return null;
  const columns = await readColumns(session, schema, name);
  const presets = await session.query<{ name: string; preset: string | null; extra: string }>(
    `SELECT column_name AS name, column_default AS preset, extra AS extra FROM information_schema.columns WHERE ${here}`,
    [schema, name],
  );
  const presetOf = new Map(presets.map((row) => [row.name, row]));
  const triggers = await session.query<Trigger>(
    `SELECT trigger_name AS name, event_manipulation AS event, definer AS definer FROM information_schema.triggers
     WHERE event_object_schema = ? AND event_object_table = ? ORDER BY trigger_name`,
    [schema, name],
  );
  return {
    ...{ schema, name, qualified: quoteTable([schema, name]), engine: table.engine ?? '' },
    systemVersioned: table.type !== 'BASE TABLE',
    columns: columns.map((column) => ({
      ...column,
      hasDefault:
        (presetOf.get(column.name)?.preset ?? null) !== null || column.autoIncrement || column.nullable,
      automatic: /on update/i.test(presetOf.get(column.name)?.extra ?? ''),
    })),
    uniques: await readUniques(session, schema, name),
    foreignKeys: await readForeignKeys(session, 'k.table_schema = ? AND k.table_name = ?', [schema, name]),
    referencedBy: await readForeignKeys(
      session,
      'k.referenced_table_schema = ? AND k.referenced_table_name = ?',
      [schema, name],
    ),
    triggers,
    checks: await readChecks(session, schema, name),
    bytes: Number(table.bytes ?? 0),
  };
}

/** The primary key first. */
async function readUniques(session: Connection, schema: string, name: string): Promise<UniqueIndex[]> {
  const rows = await session.query<{ name: string; column: string | null; length: string | null }>(
    `SELECT index_name AS name, column_name AS \`column\`, sub_part AS length FROM information_schema.statistics
     WHERE table_schema = ? AND table_name = ? AND non_unique = 0
     ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index`,
    [schema, name],
  );
  const indexes = new Map<string, UniqueIndex>();
  for (const { name: index, column, length } of rows) {
    const found = indexes.get(index) ?? { name: index, parts: [] };
    found.parts.push({ column, length: length === null ? null : Number(length) });
    indexes.set(index, found);
  }
  return [...indexes.values()];
}

/** Those that are enforced. MySQL's view shows a clause as within quotes; MariaDB's shows it as it is. */
async function readChecks(session: Connection, schema: string, name: string): Promise<CheckConstraint[]> {
  if (session.server.flavour === 'mariadb') {
    return session.query<CheckConstraint>(
      `SELECT constraint_name AS name, check_clause AS clause FROM information_schema.check_constraints
       WHERE constraint_schema = ? AND table_name = ? ORDER BY constraint_name`,
      [schema, name],
    );
  }
  const rows = await session.query<CheckConstraint>(
    `SELECT k.constraint_name AS name, k.check_clause AS clause FROM information_schema.check_constraints k
     JOIN information_schema.table_constraints t USING (constraint_schema, constraint_name)
     WHERE t.table_schema = ? AND t.table_name = ? AND t.constraint_type = 'CHECK' AND t.enforced = 'YES'
     ORDER BY k.constraint_name`,
    [schema, name],
  );
  return rows.map((row) => ({ ...row, clause: row.clause.replaceAll(/\\(.)/gs, '$1') }));
}

async function readForeignKeys(
  session: Connection,
  where: string,
  params: readonly string[],
): Promise<ForeignKey[]> {
  const rows = await session.query<Record<string, string>>(
    `SELECT k.constraint_name AS name, k.table_schema AS childSchema, k.table_name AS child, k.column_name AS \`column\`,
       k.referenced_table_schema AS parentSchema, k.referenced_table_name AS parent,
       k.referenced_column_name AS parentColumn, r.delete_rule AS onDelete, r.update_rule AS onUpdate
     FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
       ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
       AND r.table_name = k.table_name
     WHERE ${where} AND k.referenced_table_name IS NOT NULL
     ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position`,
    params,
  );
  const keys = new Map<string, ForeignKey>();
  for (const row of rows) {
    const id = JSON.stringify([row.childSchema, row.child, row.name]);
    const key = keys.get(id) ?? {
      name: row.name as string,
      child: [row.childSchema as string, row.child as string],
      columns: [],
      parent: [row.parentSchema as string, row.parent as string],
      parentColumns: [],
      onDelete: row.onDelete as string,
      onUpdate: row.onUpdate as string,
    };
    key.columns.push(row.column as string);
    key.parentColumns.push(row.parentColumn as string);
    keys.set(id, key);
  }
  return [...keys.values()];
}
