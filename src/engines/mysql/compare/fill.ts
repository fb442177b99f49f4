import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { Connection } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { quoteIdentifier } from '../identifier.ts';
import { insertRows } from './insert-rows.ts';
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
  sameKey,
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
      `CREATE TABLE ${diff} (${keys}, holdfast_kind TINYINT NOT NULL, holdfast_count INT UNSIGNED NOT NULL, ${states},
         PRIMARY KEY (${keyNames(pair)})) ENGINE=InnoDB`,
    );
    await work.execute(`CREATE TABLE ${found} (${keys}) ENGINE=InnoDB`);
  });
}

const keyNames = (pair: TablePair): string =>
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
 * long, and only where rows differ.
 */
export async function addIndexes({ work }: Scratch, compared: Compared): Promise<void> {
  const { pair, live, copy, rows, diff } = compared;
  const indexes = indexesOf(pair);
  const [any] = await work.query(`SELECT 1 FROM ${diff} LIMIT 1`);
  if (indexes.length === 0 || any === undefined) return;
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

function indexesOf({ production }: TablePair): string[] {
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
  return [...new Set(texts)];
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

/** Streams production's rows into the scratch db, in memory that does not grow with them. */
export async function loadLive(
  production: Connection,
  { work }: Scratch,
  { pair, live }: Compared,
  run: Run,
): Promise<void> {
  if (pair.gone) return;
  const needed = neededColumns(pair);
  const values = [...needed.map((column) => readValue(column, 't')), hashOf(pair, 't')].join(', ');
  const order = pair.key === null ? '' : ` ORDER BY ${listOf(pair.key, 't')}`;
  const columns = [...needed, HASH];
  const rows = production.stream(`SELECT ${values} FROM ${pair.production.qualified} AS t${order}`);
  await leniently(work, () =>
    insertRows(work, live, tuples(rows, columns, ',1'), {
      after: pair.key === null ? 'ON DUPLICATE KEY UPDATE holdfast_count = holdfast_count + 1' : '',
      done: (done) => run.progress({ phase: `comparing ${pair.table}`, done, unit: 'rows' }),
    }),
  );
}

/** What differs, once both sides are there. */
export async function findDifferences(
  { work }: Scratch,
  { pair, live, copy, diff }: Compared,
): Promise<void> {
  const keys = keyColumns(pair);
  const names = [...keys.map(({ name }) => quoteIdentifier(name)), 'holdfast_kind', 'holdfast_count'].join(
    ', ',
  );
  const [key] = keys as [Column];
  const join = (type: string, from: string, to: string) =>
    `FROM ${from} ${type} JOIN ${to} ON ${sameKey(pair, 'c', 'l')}`;
  const absent = (alias: string) => `${alias}.${quoteIdentifier(key.name)} IS NULL`;
  const into = `INSERT INTO ${diff} (${names}) SELECT`;
  if (pair.key === null) {
    const more = (one: string, other: string) =>
      `CAST(${one}.holdfast_count AS SIGNED) - CAST(IFNULL(${other}.holdfast_count, 0) AS SIGNED)`;
    await work.execute(
      `${into} ${listOf(keys, 'c')}, 1, ${more('c', 'l')} ${join('LEFT', `${copy} AS c`, `${live} AS l`)} WHERE ${more('c', 'l')} > 0`,
    );
    await work.execute(
      `${into} ${listOf(keys, 'l')}, 3, ${more('l', 'c')} ${join('LEFT', `${live} AS l`, `${copy} AS c`)} WHERE ${more('l', 'c')} > 0`,
    );
    return;
  }
  await work.execute(
    `${into} ${listOf(keys, 'c')}, 1, 1 ${join('LEFT', `${copy} AS c`, `${live} AS l`)} WHERE ${absent('l')}`,
  );
  if (pair.gone) return;
  await work.execute(
    `${into} ${listOf(keys, 'c')}, 2, 1 ${join('INNER', `${copy} AS c`, `${live} AS l`)} WHERE l.holdfast_hash <> ${hashOf(pair, 'c')}`,
  );
  await work.execute(
    `${into} ${listOf(keys, 'l')}, 3, 1 ${join('LEFT', `${live} AS l`, `${copy} AS c`)} WHERE ${absent('c')}`,
  );
}
