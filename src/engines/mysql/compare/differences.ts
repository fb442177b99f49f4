import type { Run } from '../../../model/progress.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { keyNames, loadLive } from './fill.ts';
import { insertRows } from './insert-rows.ts';
import { type Difference, mergeDifferences } from './key-merge.ts';
import { type KeyOrder, keyOrder } from './key-order.ts';
import type { TablePair } from './pair.ts';
import { type Compared, hashOf, keyColumns, leniently, listOf, type Scratch, sameKey } from './scratch.ts';
import type { Column } from './table.ts';
import { readValue, writeValue } from './values.ts';

/** What is known of a table's differences beside the rows themselves. */
export interface Differences {
  /** rows are missing or changed */
  isComing: boolean;
  /** rows are changed or extra */
  isGoing: boolean;
  /** the scratch db has production's rows */
  hasLive: boolean;
}

/**
 * Fills the table of what differs. Where the key's order is known for certain, both sides are read in it and merged, and
 * nothing but differences is written; else production's rows go into the scratch db, whose server compares them.
 */
export async function takeDifferences(
  production: Connection,
  scratch: Scratch,
  compared: Compared,
  run: Run,
): Promise<Differences> {
  const orders = ordersOf(compared.pair);
  const isMerged = orders !== null && (await merge(production, scratch, compared, orders, run));
  if (!isMerged) {
    const rows = await loadLive(production, scratch, compared, run);
    await (compared.pair.key === null ? countEqual(scratch, compared) : join(scratch, compared, rows));
  }
  const [kinds] = await scratch.work.query<{ coming: string | null; going: string | null }>(
    `SELECT MAX(holdfast_kind < 3) AS coming, MAX(holdfast_kind > 1) AS going FROM ${compared.diff}`,
  );
  return { isComing: Number(kinds?.coming) === 1, isGoing: Number(kinds?.going) === 1, hasLive: !isMerged };
}

/** null: not for a merge. */
function ordersOf({ key, gone, production }: TablePair): KeyOrder[] | null {
  if (key === null || gone) return null;
  const orders = keyColumns({ key, production }).map(keyOrder);
  return orders.every((order) => order !== null) ? orders : null;
}

/** False, and nothing is found, where rows came in another order than was thought. */
async function merge(
  production: Connection,
  { work, reader }: Scratch,
  { pair, copy, diff }: Compared,
  orders: readonly KeyOrder[],
  run: Run,
): Promise<boolean> {
  const keys = keyColumns(pair);
  const rowsOf = (session: Connection, table: string) =>
    session.stream(
      `SELECT ${keys.map((column) => readValue(column, 't')).join(', ')}, ${hashOf(pair, 't')}
       FROM ${table} AS t ORDER BY ${listOf(keys, 't')}`,
    );
  let isOrdered = true;
  const found = mergeDifferences(
    rowsOf(reader, copy),
    rowsOf(production, pair.production.qualified),
    orders,
    {
      onDisorder: () => {
        isOrdered = false;
      },
      onRows: (done) => run.progress({ phase: `comparing ${pair.table}`, done, unit: 'rows' }),
    },
  );
  await leniently(work, () => insertRows(work, `${diff} ${diffColumns(pair)}`, tuplesOf(found, keys)));
  if (!isOrdered) await work.execute(`DELETE FROM ${diff}`);
  return isOrdered;
}

const diffColumns = (pair: TablePair): string =>
  `(${keyNames(pair)}, holdfast_kind, holdfast_count, holdfast_was)`;

async function* tuplesOf(
  found: AsyncIterable<Difference>,
  keys: readonly Column[],
): AsyncGenerator<string, void, void> {
  for await (const { kind, row, was } of found) {
    const key = keys.map((column, at) => writeValue(column, row[at] ?? null)).join(',');
    yield `(${key},${kind},1,${was === null ? 0 : String(was)})`;
  }
}

/** Both sides by their key, one pass over the copy's rows, and one over production's if that has others. */
async function join({ work }: Scratch, { pair, live, copy, diff }: Compared, rows: number): Promise<void> {
  const keys = keyColumns(pair);
  const absent = (alias: string) => `${alias}.${quoteIdentifier(keys[0]?.name as string)} IS NULL`;
  const into = `INSERT INTO ${diff} ${diffColumns(pair)} SELECT`;
  await work.execute(
    `${into} ${listOf(keys, 'c')}, IF(${absent('l')}, 1, 2), 1, IFNULL(l.holdfast_hash, 0)
     FROM ${copy} AS c LEFT JOIN ${live} AS l ON ${sameKey(pair, 'c', 'l')}
     WHERE ${absent('l')} OR l.holdfast_hash <> ${hashOf(pair, 'c')}`,
  );
  const [counts] = await work.query<{ copied: string; missing: string }>(
    `SELECT (SELECT COUNT(*) FROM ${copy}) AS copied, (SELECT COUNT(*) FROM ${diff} WHERE holdfast_kind = 1) AS missing`,
  );
  if (rows === Number(counts?.copied) - Number(counts?.missing)) return;
  await work.execute(
    `${into} ${listOf(keys, 'l')}, 3, 1, l.holdfast_hash
     FROM ${live} AS l LEFT JOIN ${copy} AS c ON ${sameKey(pair, 'c', 'l')} WHERE ${absent('c')}`,
  );
}

/** Without a key: how many more of equal rows one side has. */
async function countEqual({ work }: Scratch, { pair, live, copy, diff }: Compared): Promise<void> {
  const more = (one: string, other: string) =>
    `CAST(${one}.holdfast_count AS SIGNED) - CAST(IFNULL(${other}.holdfast_count, 0) AS SIGNED)`;
  const sides = [
    { kind: 1, one: 'c', from: `${copy} AS c`, to: `${live} AS l`, amount: more('c', 'l') },
    { kind: 3, one: 'l', from: `${live} AS l`, to: `${copy} AS c`, amount: more('l', 'c') },
  ];
  for (const { kind, one, from, to, amount } of sides) {
    await work.execute(
      `INSERT INTO ${diff} ${diffColumns(pair)} SELECT ${listOf(keyColumns(pair), one)}, ${kind}, ${amount}, 0
       FROM ${from} LEFT JOIN ${to} ON ${sameKey(pair, 'c', 'l')} WHERE ${amount} > 0`,
    );
  }
}
