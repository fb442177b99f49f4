import { HoldfastError } from '../../../model/failure.ts';
import { nearestNames } from '../../../model/nearest.ts';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import type { RestoreTablesInput } from '../../contract/restore.ts';
import type { Connection } from '../connection.ts';

export interface KnownTable {
  /** `db.table` in the form of model/table.ts */
  name: string;
  table: string;
}

/** The tables of a db, without views, in the order of their names. */
export async function listTables(session: Connection, database: string): Promise<KnownTable[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables
      WHERE table_schema = ? AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name`,
    [database],
  );
  return rows.map(({ name }) => ({ name: formatNameParts([database, name]), table: name }));
}

/** The tables' own names, of `[db.]table`. Throws UnknownTable for one of another db, InvalidInput. */
export function namesOf(tables: readonly string[], database: string): string[] {
  return tables.map((text) => {
    const parts = parseNameParts(text);
    const [table, db = database, ...more] = parts.toReversed();
    if (more.length > 0) {
      throw new HoldfastError('InvalidInput', `"${text}" is no table: it has too many parts`, {
        hint: 'write db.table, with double quotes around a part that holds a dot: shop."my.table"',
      });
    }
    if (db.toLowerCase() === database.toLowerCase()) return table as string;
    throw new HoldfastError('UnknownTable', `${text} is in db ${db}, and this restore is of db ${database}`, {
      hint: 'give the configuration a database whose connection.database is that db',
    });
  });
}

/** Those that a restore was asked for, as the copy has them. Throws UnknownTable with the nearest names. */
export function findNamed(
  { tables, database, backup }: Pick<RestoreTablesInput, 'tables' | 'database' | 'backup'>,
  all: readonly KnownTable[],
): string[] {
  const found = namesOf(tables ?? [], database).map((wanted, index) => {
    const exact = all.find(({ table }) => table === wanted);
    const alike = all.filter(({ table }) => table.toLowerCase() === wanted.toLowerCase());
    const table = exact ?? (alike.length === 1 ? alike[0] : undefined);
    if (table !== undefined) return table.name;
    const near = nearestNames(
      wanted,
      all.map((one) => one.table),
    ).map((name) => formatNameParts([database, name]));
    throw new HoldfastError('UnknownTable', `in backup ${backup} there is no table ${tables?.[index]}`, {
      hint:
        near.length > 0
          ? `did you mean ${near.join(', ')}?`
          : `db ${database} of that backup has ${all.length} tables`,
    });
  });
  return [...new Set(found)];
}
