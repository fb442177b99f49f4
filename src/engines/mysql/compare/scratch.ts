import type { Connection, Row } from '../connection.ts';
import { quoteIdentifier, quoteLiteral, quoteTable } from '../identifier.ts';
import { rowHashSql } from '../row-hash.ts';
import { SQL_MODE } from '../session.ts';
import type { TablePair } from './pair.ts';
import { type Column, columnsOf } from './table.ts';
import { writeValue } from './values.ts';

/**
 * The restored copy's server and a db of Holdfast's in it. Production's keys and row hashes come into that, in columns of
 * production's own types: so which keys are equal is for the server to say, by production's collations.
 */
export interface Scratch {
  schema: string;
  /** changes the scratch db; autocommit */
  work: Connection;
  /** reads streams of it, which are written by `work` again */
  reader: Connection;
}

/** A pair with its tables in the scratch db, as SQL names them. */
export interface Compared {
  pair: TablePair;
  /** its place in the scratch db: of the import too */
  index: number;
  /**
   * production's rows: key, `holdfast_hash`, `holdfast_count`, and what unique indexes and foreign keys read. With a key
   * empty where nothing asks for them
   */
  live: string;
  /** the restored copy's rows, in production's types: with the key, or without one as {@link live} has them */
  copy: string;
  /** all rows of the copy with all columns that come back, in production's types */
  rows: string;
  /**
   * rows that differ: key, `holdfast_kind` 1 missing, 2 changed, 3 extra, `holdfast_count`, `holdfast_was` (with a key: the
   * hash in production; 0: it is missing there), `left_1` to `left_3`
   */
  diff: string;
  /** a place for keys */
  found: string;
}

export const KINDS = ['missing', 'changed', 'extra'] as const;

/** A row's hash as a column. */
export const HASH: Column = {
  ...{ name: 'holdfast_hash', type: 'bigint', fullType: 'bigint unsigned', charset: null, collation: null },
  ...{ nullable: false, generated: null, invisible: false, autoIncrement: false, hasDefault: false },
};

/** `again`: a comparison beside the first one, of the same rows of the copy. */
export function comparedOf(pair: TablePair, schema: string, index: number, again = false): Compared {
  const named = (name: string) => quoteTable([schema, name]);
  const own = (name: string) => named(`${name}_${index}`);
  const fresh = (name: string) => named(`${name}_${index}${again ? '_again' : ''}`);
  const rows = pair.converted.length > 0 ? own('rows') : pair.restored.qualified;
  return {
    ...{ pair, index, rows, copy: pair.key === null ? own('copy') : rows },
    ...{ live: fresh('live'), diff: fresh('diff'), found: fresh('found') },
  };
}

/** What identifies rows in the scratch db. */
export function keyColumns({ key, production }: Pick<TablePair, 'key' | 'production'>): Column[] {
  return key === null ? [HASH] : columnsOf(production, key);
}

/** `a.k = b.k AND …` */
export function sameKey(pair: TablePair, one: string, other: string): string {
  return sameValues(
    keyColumns(pair).map(({ name }) => name),
    one,
    other,
  );
}

export function sameValues(names: readonly string[], one: string, other: string, others = names): string {
  return names
    .map((name, at) => `${one}.${quoteIdentifier(name)} = ${other}.${quoteIdentifier(others[at] as string)}`)
    .join(' AND ');
}

/** `a.k, a.l` */
export function listOf(columns: readonly (Column | string)[], alias: string): string {
  return columns
    .map((column) => `${alias}.${quoteIdentifier(typeof column === 'string' ? column : column.name)}`)
    .join(', ');
}

/** SQL for the hash of the columns that come back, in a table of production's types. */
export function hashOf({ production, columns }: TablePair, alias: string): string {
  return rowHashSql(columnsOf(production, columns), alias);
}

/** As CREATE TABLE wants them: only what a value needs to be what it is. */
export function defineColumns(columns: readonly Column[], isKey: (column: Column) => boolean): string {
  return columns
    .map((column) => {
      const type = column.fullType.replaceAll(/\/\*M?!.*?\*\//g, '');
      const charset =
        column.charset === null ? '' : ` CHARACTER SET ${column.charset} COLLATE ${column.collation}`;
      // Without a default of its own, a first TIMESTAMP would follow every change.
      const preset = column.type === 'timestamp' ? " DEFAULT '2000-01-01'" : '';
      return `${quoteIdentifier(column.name)} ${type}${charset} ${isKey(column) ? `NOT NULL${preset}` : 'NULL'}`;
    })
    .join(', ');
}

/** Production's columns that a comparison needs beside the hash: of the key, of unique indexes, and of foreign keys. */
export function neededColumns({ key, production }: TablePair): Column[] {
  const names = new Set([
    ...(key ?? []),
    ...production.uniques.flatMap(({ parts }) => parts.flatMap(({ column }) => column ?? [])),
    ...production.foreignKeys.flatMap(({ columns }) => columns),
    ...production.referencedBy.flatMap(({ parentColumns }) => parentColumns),
  ]);
  return production.columns.filter(({ name }) => names.has(name));
}

/**
 * Makes and fills tables of ours as the copy's once were: what a strict session refuses, such as an enumeration with two
 * values that its collation calls equal, or a value that is none of them, may be there all the same. Nothing is cut
 * unseen: columns have the types that the values come from, and row hashes are looked at later.
 */
export async function leniently<T>(session: Connection, work: () => Promise<T>): Promise<T> {
  await session.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
  const result = await work();
  await session.execute(`SET SESSION sql_mode = ${quoteLiteral(SQL_MODE)}`);
  return result;
}

/** Rows as {@link insertRows} takes them. */
export async function* tuples(
  rows: AsyncIterable<Row>,
  columns: readonly Column[],
  more = '',
): AsyncGenerator<string> {
  for await (const row of rows) {
    yield `(${columns.map((column, at) => writeValue(column, row[at] as Row[number])).join(',')}${more})`;
  }
}
