import { HoldfastError } from '../../model/failure.ts';
import { formatNameParts } from '../../model/table.ts';
import type { Connection } from './connection.ts';
import { quoteIdentifier } from './identifier.ts';

/** Names of the row hashes, as fingerprints carry them. Sums of different hashes mean nothing to each other. */
export const ROW_HASHES = ['sha2-64+sum'] as const;
export type RowHash = (typeof ROW_HASHES)[number];
/** What new fingerprints are made with, on both flavours. */
export const ROW_HASH: RowHash = 'sha2-64+sum';

export interface TableColumn {
  name: string;
  /** the bare type in lower case: `varchar`, `bigint`, `json`, `point` */
  type: string;
  /** as DDL writes it: `bigint unsigned`, `enum('a','b')` */
  fullType: string;
  /** null: not a text */
  charset: string | null;
  collation: string | null;
  nullable: boolean;
  /** `virtual` and `stored` columns follow from the others; null: it holds data */
  generated: 'virtual' | 'stored' | null;
  invisible: boolean;
  autoIncrement: boolean;
}

export function parseRowHash(name: string): RowHash {
  const found = ROW_HASHES.find((hash) => hash === name);
  if (found !== undefined) return found;
  throw new HoldfastError('NotSupported', `the row hash ${name} is not known here`, {
    hint: 'the backup was made by a newer Holdfast: use that one to verify it',
  });
}

/** Texts of these have no `;` and no `N`, so that what stands between columns needs no length. */
const PLAIN = new Set([
  ...['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'year'],
  ...['date', 'time', 'datetime'],
]);
const SHORT_TEXT = new Set(['char', 'varchar', 'binary', 'varbinary', 'enum', 'set']);

/**
 * SQL for the 64-bit hash of a row, an unsigned integer: equal wherever the row was dumped, restored or replayed to. Every
 * column that holds data is in it, invisible ones too, with its NULL or the length of its value, so that no two rows look
 * alike. Generated columns are not: no dump has them, and they follow from the others. `alias` is the table's in FROM.
 *
 * Texts count by their stored bytes, whatever their collation calls equal. TIMESTAMP counts by its seconds, whatever the
 * time zone of the session. What can be long is hashed by itself: a CONCAT beyond max_allowed_packet would be NULL.
 * FLOAT counts with the six digits that the server prints (measured on both flavours): a dump has no more of it.
 */
export function rowHashSql(columns: readonly TableColumn[], alias?: string): string {
  const values = columns.filter(({ generated }) => generated === null).map((one) => valueSql(one, alias));
  const row = values.length === 0 ? "''" : `CONCAT(${values.join(', ')})`;
  return `CAST(CONV(LEFT(SHA2(${row}, 256), 16), 16, 10) AS UNSIGNED)`;
}

function valueSql({ name, type, nullable }: TableColumn, alias?: string): string {
  const column = `${alias === undefined ? '' : `${quoteIdentifier(alias)}.`}${quoteIdentifier(name)}`;
  const orNull = (text: string) => (nullable ? `IFNULL(${text}, 'N')` : text);
  if (SHORT_TEXT.has(type)) return orNull(`CONCAT(LENGTH(${column}), ':', CAST(${column} AS BINARY))`);
  if (PLAIN.has(type)) return `${orNull(column)}, ';'`;
  // MySQL keeps a minus zero, and takes `-0` of a dump for zero.
  if (type === 'double' || type === 'float') return `${orNull(`IF(${column} = 0, '0', ${column})`)}, ';'`;
  if (type === 'timestamp') return `${orNull(`UNIX_TIMESTAMP(${column})`)}, ';'`;
  if (type === 'bit') return `${orNull(`CAST(${column} AS UNSIGNED)`)}, ';'`;
  // Its numbers may be of a type that a restore of their text does not give them: 1.10 comes back as 1.1.
  if (type === 'json') return orNull(`SHA2(CAST(CONVERT(${column} USING utf8mb4) AS JSON), 256)`);
  // MariaDB's types with a text form: the function would take their bytes.
  if (type === 'uuid' || type === 'inet6' || type === 'inet4')
    return `${orNull(`CAST(${column} AS CHAR)`)}, ';'`;
  return orNull(`SHA2(${column}, 256)`);
}

/** More than any sum of hashes, and within DECIMAL: a row that could not be hashed must not vanish from a SUM. */
const NOT_HASHED = '9'.repeat(39);

/** The sum of the row hashes, which does not overflow, as decimal text. See {@link parseHashSum}. */
export const hashSumSql = (hash: string): string =>
  `CAST(COALESCE(SUM(IFNULL(${hash}, ${NOT_HASHED})), 0) AS CHAR)`;

/** Throws CheckFailed where rows of the table could not be hashed, as by a server out of memory for a value. */
export function parseHashSum(sum: string, table: string): string {
  if (/^\d+$/.test(sum) && sum.length < NOT_HASHED.length) return sum;
  throw new HoldfastError('CheckFailed', `rows of ${table} could not be hashed by the server`, {
    hint: 'raise max_allowed_packet of the server above the length of its longest row',
  });
}

/** A table's columns in their order. Throws UnknownTable. */
export async function readColumns(connection: Connection, db: string, table: string): Promise<TableColumn[]> {
  const columns = (await columnsOf(connection, db, table)).get(table);
  if (columns !== undefined) return columns;
  throw new HoldfastError(
    'UnknownTable',
    `there is no table ${formatNameParts([db, table])} on the server that is looked at`,
  );
}

/** The columns of every table and view of a db, by its name. */
export function readAllColumns(connection: Connection, db: string): Promise<Map<string, TableColumn[]>> {
  return columnsOf(connection, db);
}

interface ColumnRow {
  table: string;
  name: string;
  type: string;
  fullType: string;
  charset: string | null;
  collation: string | null;
  nullable: string;
  extra: string;
}

async function columnsOf(
  connection: Connection,
  db: string,
  table?: string,
): Promise<Map<string, TableColumn[]>> {
  const rows = await connection.query<ColumnRow>(
    `SELECT TABLE_NAME AS \`table\`, COLUMN_NAME AS name, LOWER(DATA_TYPE) AS type, COLUMN_TYPE AS fullType,
            CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation, IS_NULLABLE AS nullable, EXTRA AS extra
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?${table === undefined ? '' : ' AND TABLE_NAME = ?'}
      ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    table === undefined ? [db] : [db, table],
  );
  const found = new Map<string, TableColumn[]>();
  for (const { table: name, nullable, extra, ...column } of rows) {
    const columns = found.get(name) ?? [];
    const generated = /\b(VIRTUAL|STORED|PERSISTENT) GENERATED\b/i.exec(extra)?.[1]?.toLowerCase();
    columns.push({
      ...column,
      nullable: nullable === 'YES',
      generated: generated === undefined ? null : generated === 'virtual' ? 'virtual' : 'stored',
      invisible: /\bINVISIBLE\b/i.test(extra),
      autoIncrement: /\bauto_increment\b/i.test(extra),
    });
    found.set(name, columns);
  }
  return found;
}
