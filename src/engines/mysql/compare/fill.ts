import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { Connection, Row } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { quoteIdentifier } from '../identifier.ts';
import { insertRows } from './insert-rows.ts';
import { type Lookup, rowsWith } from './lookup.ts';
import { refuseWriting, type TablePair } from './pair.ts';
import {
  type Compared,
  defineColumns,
  HASH,
  hashOf,
  keyColumns,
  leniently,
  listOf,
  neededColumns,
  type Scratch,
  tuples,
} from './scratch.ts';
import { type Column, columnOf, columnsOf } from './table.ts';
import { readValue } from './values.ts';

/** Makes the tables for production's rows and what differs; those of an earlier attempt go. */
export async function createTables({ work }: Scratch, compared: Compared): Promise<void> {
  const { pair, live, diff, found } = compared;
  const keys = defineColumns(keyColumns(pair), () => true);
  const states = [1, 2, 3].map((rule) => `left_${rule} TINYINT NOT NULL DEFAULT 0`).join(', ');
  await work.execute(`DROP TABLE IF EXISTS ${live}, ${diff}, ${found}`);
  await leniently(work, async () => {
    await work.execute(`CREATE TABLE ${live} ${shapeOf(pair)}`);
    await work.execute(
      `CREATE TABLE ${diff} (${keys}, holdfast_kind TINYINT NOT NULL, holdfast_count INT UNSIGNED NOT NULL,
         holdfast_was BIGINT UNSIGNED NOT NULL DEFAULT 0, ${states}, PRIMARY KEY (${keyNames(pair)})) ENGINE=InnoDB`,
    );
    await work.execute(`CREATE TABLE ${found} (${keys}) ENGINE=InnoDB`);
  });
}

export const keyNames = (pair: TablePair): string =>
  keyColumns(pair)
    .map(({ name }) => quoteIdentifier(name))
    .join(', ');

const isKeyOf =
  ({ key }: TablePair) =>
  ({ name }: Column): boolean =>
    key?.includes(name) === true;

/** Of a table with the columns that are needed, a hash and a count, and with production's key. */
function shapeOf(pair: TablePair): string {
  const needed = neededColumns(pair);
  const columns = needed.length === 0 ? '' : `${defineColumns(needed, isKeyOf(pair))}, `;
  return `(${columns}holdfast_hash BIGINT UNSIGNED NOT NULL, holdfast_count INT UNSIGNED NOT NULL, PRIMARY KEY (${keyNames(pair)})) ENGINE=InnoDB`;
}

/**
 * Lookups by what unique indexes and foreign keys read. Afterwards, since filling a table with them takes several times as
 * long, and only where something is looked up.
 */
export async function addIndexes({ work }: Scratch, compared: Compared): Promise<void> {
  const { pair, live, copy, rows } = compared;
  const indexes = indexesOf(pair);
  if (indexes.length === 0) return;
  const add = indexes.map((index) => `ADD KEY (${index})`).join(', ');
  const own = pair.key === null ? copy : pair.converted.length > 0 ? rows : null;
  for (const table of own === null ? [live] : [live, own]) await work.execute(`ALTER TABLE ${table} ${add}`);
}

/** Brings the copy's rows into production's types, and counts those without a key. Mostly the copy's own table serves. */
export async function prepareCopy({ work }: Scratch, compared: Compared): Promise<void> {
  const { pair, rows, copy } = compared;
  const { key, production, restored, columns } = pair;
  const needed = neededColumns(pair);
  const common = [
    ...columnsOf(production, columns),
    ...needed.filter(({ name }) => !columns.includes(name) && columnOf(restored, name) !== undefined),
  ];
  if (pair.converted.length > 0) {
    const shape = key === null ? '' : `, PRIMARY KEY (${keyNames(pair)})`;
    await work.execute(
      `CREATE TABLE ${rows} (${defineColumns(common, isKeyOf(pair))}${shape}) ENGINE=InnoDB`,
    );
    await convert(work, compared, common);
  }
  if (key === null) {
    const held = needed.filter(({ name }) => common.some((column) => column.name === name));
    const names = [...held.map(({ name }) => quoteIdentifier(name)), 'holdfast_hash', 'holdfast_count'].join(
      ', ',
    );
    const values = held.length === 0 ? '' : `${listOf(held, 'c')}, `;
    await leniently(work, () => work.execute(`CREATE TABLE ${copy} ${shapeOf(pair)}`));
    await work.execute(
      `INSERT INTO ${copy} (${names}) SELECT ${values}${hashOf(pair, 'c')} AS holdfast_row, COUNT(*) FROM ${rows} AS c GROUP BY holdfast_row`,
    );
  }
}

function indexesOf(pair: TablePair): string[] {
  const { production } = pair;
  const wanted = [
    ...production.uniques.map(({ parts }) => parts),
    ...[
      ...production.foreignKeys.map(({ columns }) => columns),
      ...production.referencedBy.map((f) => f.parentColumns),
    ].map((names) => names.map((column) => ({ column, length: null }))),
  ].filter((parts) => parts.every(({ column }) => column !== null));
  const texts = wanted.map((parts) =>
    parts
      .map(
        ({ column, length }) => `${quoteIdentifier(column as string)}${length === null ? '' : `(${length})`}`,
      )
      .join(', '),
  );
  return [...new Set(texts)].filter((text) => text !== keyNames(pair));
}

/** A value that does not fit production's column, or a key that is no key by production's collation, rules it out. */
async function convert(work: Connection, { pair, rows }: Compared, common: readonly Column[]): Promise<void> {
  const names = common.map(({ name }) => quoteIdentifier(name)).join(', ');
  const refused = await work
    .execute(
      `INSERT INTO ${rows} (${names}) SELECT ${listOf(common, 'c')} FROM ${pair.restored.qualified} AS c`,
    )
    .then(({ warnings }) => warnings > 0)
    .catch((error: unknown) => {
      const errno = refusalOf(error);
      if (errno === null || errno < 1000) throw error;
      return true;
    });
  if (!refused) return;
  const why = `values of ${pair.table} do not fit production's columns as they are now: ${pair.converted.join(', ')}`;
  Object.assign(pair.refusals, {
    ...refuseWriting(
      new HoldfastError('NotSupported', why, { hint: 'choose side-by-side, or export the rows (--export)' }),
    ),
    ...pair.refusals,
  });
  await work.execute(`DELETE FROM ${rows}`);
}

/** Streams production's rows into the scratch db, in memory that does not grow with them; how many there were. */
export async function loadLive(
  production: Connection,
  scratch: Scratch,
  compared: Compared,
  run: Run,
): Promise<number> {
  const { pair } = compared;
  if (pair.gone) return 0;
  const order = pair.key === null ? '' : ` ORDER BY ${listOf(pair.key, 't')}`;
  return insertLive(scratch, compared, production.stream(`${selectLive(pair)}${order}`), {
    // Equal ones are counted.
    after: pair.key === null ? 'ON DUPLICATE KEY UPDATE holdfast_count = holdfast_count + 1' : '',
    done: (done) => run.progress({ phase: `comparing ${pair.table}`, done, unit: 'rows' }),
  });
}

/** Only those of production's rows that have one of these values; one that is there already is left as it is. */
export async function loadLiveOf(
  production: Connection,
  scratch: Scratch,
  compared: Compared,
  lookup: Lookup,
  run: Run,
): Promise<void> {
  const { pair } = compared;
  const rows = rowsWith(production, scratch, lookup, selectLive(pair), (done) =>
    run.progress({ phase: `looking up rows of ${pair.table}`, done, unit: 'rows' }),
  );
  await insertLive(scratch, compared, rows, { after: 'ON DUPLICATE KEY UPDATE holdfast_count = 1' });
}

function selectLive(pair: TablePair): string {
  const values = [...neededColumns(pair).map((column) => readValue(column, 't')), hashOf(pair, 't')];
  return `SELECT ${values.join(', ')} FROM ${pair.production.qualified} AS t`;
}

function insertLive(
  { work }: Scratch,
  { pair, live }: Compared,
  rows: AsyncIterable<Row>,
  options: { after: string; done?: (rows: number) => void },
): Promise<number> {
  const columns = [...neededColumns(pair), HASH];
  return leniently(work, () => insertRows(work, live, tuples(rows, columns, ',1'), options));
}
