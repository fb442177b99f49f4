import type { Connection, Row } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import { insertRows } from './insert-rows.ts';
import { defineColumns, HASH, leniently, type Scratch, tuples } from './scratch.ts';
import type { Column } from './table.ts';
import { compareValue, readValue } from './values.ts';

const BATCH_ROWS = 500;

/** Values that production is asked about. */
export interface Lookup {
  /** selects them from the scratch db, in the order of `by`, as `readValue` has them */
  values: string;
  /** production's columns that hold such values */
  by: readonly Column[];
}

/**
 * Production's rows that have one of the values: by the columns' own types and collations. `select` stands before WHERE, with
 * `t` for the table; `onAsked` hears how many values have been asked for. What production reads does not depend on the size of
 * its table, where it has an index.
 */
export async function* rowsWith(
  production: Connection,
  { reader }: Scratch,
  { values, by }: Lookup,
  select: string,
  onAsked: (asked: number) => void = () => {},
): AsyncGenerator<Row, void, void> {
  let asked = 0;
  for await (const batch of batchesOf(reader.stream(values))) {
    onAsked(asked);
    yield* production.stream(`${select} WHERE ${isAmong(by, batch)}`);
    asked += batch.length;
  }
}

export interface TableLookup extends Lookup {
  table: readonly string[];
  /** SQL over `t` for numbers that are wanted too, as a row's hash: stored as `holdfast_hash` */
  hash?: string;
  into: string;
}

/** Finds which of the values production's table has, and puts those into a table of the scratch db. Gives its name. */
export async function lookUp(production: Connection, scratch: Scratch, lookup: TableLookup): Promise<string> {
  const { work, schema } = scratch;
  const { table, by, hash } = lookup;
  const into = quoteTable([schema, lookup.into]);
  const names = by.map(({ name }) => quoteIdentifier(name));
  const hashed = hash === undefined ? '' : ', holdfast_hash BIGINT UNSIGNED NOT NULL';
  await work.execute(`DROP TABLE IF EXISTS ${into}`);
  await leniently(work, () =>
    work.execute(
      `CREATE TABLE ${into} (${defineColumns(by, () => true)}${hashed}, PRIMARY KEY (${names.join(', ')})) ENGINE=InnoDB`,
    ),
  );
  const wanted = [...by.map((column) => readValue(column, 't')), ...(hash === undefined ? [] : [hash])].join(
    ', ',
  );
  const columns = hash === undefined ? by : [...by, HASH];
  const select = `SELECT DISTINCT ${wanted} FROM ${quoteTable(table)} AS t`;
  // What differs in bytes only is one value here.
  await insertRows(work, into, tuples(rowsWith(production, scratch, lookup, select), columns), {
    after: `ON DUPLICATE KEY UPDATE ${names[0]} = ${into}.${names[0]}`,
  });
  return into;
}

/** Several columns not as tuples: MariaDB uses no index for these, and MySQL does not compare enumerations in them by number. */
function isAmong(by: readonly Column[], rows: readonly Row[]): string {
  const literals = rows.map((row) => by.map((column, at) => compareValue(column, row[at] as Row[number])));
  const named = by.map(({ name }) => `t.${quoteIdentifier(name)}`);
  if (by.length === 1) return `${named[0]} IN (${literals.join(',')})`;
  const one = (values: readonly string[]) =>
    named.map((name, at) => `${name} = ${values[at] as string}`).join(' AND ');
  return `(${literals.map(one).join(' OR ')})`;
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
