import type { Connection, Row } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import { insertRows } from './insert-rows.ts';
import { defineColumns, HASH, leniently, listOf, type Scratch, tuples } from './scratch.ts';
import type { Column } from './table.ts';
import { compareValue, readValue } from './values.ts';

const BATCH_ROWS = 500;

export interface Lookup {
  /** selects the values that are looked for, in the order of `by`, from the scratch db, as `readValue` has them */
  values: string;
  /** production's table and its columns that hold such values */
  table: readonly string[];
  by: readonly Column[];
  /** SQL over `t` for numbers that are wanted too, as a row's hash: stored as `holdfast_hash` */
  hash?: string;
  into: string;
}

/**
 * Finds which of these values production's table has, and puts those into a table of the scratch db: by the columns'
 * own types and collations. Production is asked by values, so what is read does not depend on the table's size.
 */
export async function lookUp(
  production: Connection,
  { work, reader, schema }: Scratch,
  lookup: Lookup,
): Promise<string> {
  const { table, by, hash } = lookup;
  const into = quoteTable([schema, lookup.into]);
  const names = by.map(({ name }) => quoteIdentifier(name)).join(', ');
  const hashed = hash === undefined ? '' : ', holdfast_hash BIGINT UNSIGNED NOT NULL';
  await work.execute(`DROP TABLE IF EXISTS ${into}`);
  await leniently(work, () =>
    work.execute(
      `CREATE TABLE ${into} (${defineColumns(by, () => true)}${hashed}, PRIMARY KEY (${names})) ENGINE=InnoDB`,
    ),
  );
  const wanted = [...by.map((column) => readValue(column, 't')), ...(hash === undefined ? [] : [hash])].join(
    ', ',
  );
  const columns = hash === undefined ? by : [...by, HASH];
  for await (const batch of batchesOf(reader.stream(lookup.values))) {
    const found = production.stream(
      `SELECT DISTINCT ${wanted} FROM ${quoteTable(table)} AS t WHERE ${isAmong(by, batch)}`,
    );
    // What differs in bytes only is one value here.
    await insertRows(work, into, tuples(found, columns), {
      after: `ON DUPLICATE KEY UPDATE ${names.split(', ')[0]} = ${into}.${names.split(', ')[0]}`,
    });
  }
  return into;
}

function isAmong(by: readonly Column[], rows: readonly Row[]): string {
  const values = rows.map((row) => by.map((column, at) => compareValue(column, row[at] as Row[number])));
  if (by.length === 1) return `${listOf(by, 't')} IN (${values.join(',')})`;
  // As parts of a tuple, MySQL does not compare these by their numbers.
  if (by.some(({ type }) => ['enum', 'set', 'bit'].includes(type))) {
    const conditions = values.map((literals) =>
      by.map(({ name }, at) => `t.${quoteIdentifier(name)} = ${literals[at]}`).join(' AND '),
    );
    return `(${conditions.join(') OR (')})`;
  }
  return `(${listOf(by, 't')}) IN ((${values.map((literals) => literals.join(',')).join('),(')}))`;
}

async function* batchesOf(rows: AsyncIterable<Row>): AsyncGenerator<Row[]> {
  let batch: Row[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
