import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { isActive, ownKeys, type WritingRule } from '../compare/effects.ts';
import { insertRows } from '../compare/insert-rows.ts';
import type { TablePair } from '../compare/pair.ts';
import {
  type Compared,
  defineColumns,
  HASH,
  hashOf,
  keyColumns,
  leniently,
  type Scratch,
  sameKey,
  tuples,
} from '../compare/scratch.ts';
import { type Column, columnsOf, describeTable, type ForeignKey, isSameTable } from '../compare/table.ts';
import { readValue } from '../compare/values.ts';
import type { Connection } from '../connection.ts';
import { quoteTable } from '../identifier.ts';

/**
 * What is to happen to one table, in temporary tables of the importing session: they vanish with it, and no log or
 * replica ever sees them. `rows` has one row for each of the table's that changes; `holdfast_how` is `i` insert, `u`
 * update, `d` delete, and by the time of the change `r` (an update that is a deletion and an insertion) and `v` (vanished:
 * nothing is left to do). Without a key one row stands for `holdfast_count` equal ones, and `D` deletes all of a hash.
 */
export interface Stage {
  compared: Compared;
  rule: WritingRule;
  rows: string;
  /** of the rows that are updated: MySQL reads a temporary table only once in a statement */
  moving: string;
  /** of rows that go or change: the values to which others refer */
  lost: string;
  /** foreign keys whose parents are there, or are made by this import */
  parents: { key: ForeignKey; isMade: boolean }[];
}

/** A server may want every table to have a primary key (sql_require_primary_key, innodb_force_primary_key). */
export const NUMBERED = 'holdfast_number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY';

/** The columns behind `holdfast_how`, `holdfast_count` and `holdfast_hash`. */
const stagedColumns = ({ pair }: Compared): Column[] => columnsOf(pair.production, pair.columns);

export async function createStage(
  session: Connection,
  compared: Compared,
  rule: WritingRule,
  pairs: readonly TablePair[],
): Promise<Stage> {
  const { pair, index } = compared;
  const parents: Stage['parents'] = [];
  for (const key of ownKeys(compared)) {
    const isMade = pairs.some((other) => other.gone && isSameTable(other.parts, key.parent));
    const isThere = isMade || (await describeTable(session, key.parent as [string, string])) !== null;
    if (isThere && key.columns.every((name) => pair.columns.includes(name))) parents.push({ key, isMade });
  }
  const own = (name: string) => quoteTable([pair.parts[0], `holdfast_${name}_${index}`]);
  const stage = { compared, rule, rows: own('stage'), moving: own('moving'), lost: own('lost'), parents };
  if (pair.gone) return stage;
  const isKey = ({ name }: Column) => pair.key?.includes(name) === true;
  const key = keyColumns(pair).map(({ name }) => quoteTable([name]));
  await leniently(session, () =>
    session.execute(
      `CREATE TEMPORARY TABLE ${stage.rows} (holdfast_how CHAR(1) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL,
       holdfast_count INT UNSIGNED NOT NULL, holdfast_hash BIGINT UNSIGNED NOT NULL,
       ${defineColumns(stagedColumns(compared), isKey)}, PRIMARY KEY (${key.join(', ')})) ENGINE=InnoDB`,
    ),
  );
  return stage;
}

/** Streams the approved rows out of the restored copy. Throws CheckFailed unless all of them came. */
export async function stageApproved(
  session: Connection,
  { reader }: Scratch,
  stage: Stage,
  expected: number,
  run: Run,
): Promise<void> {
  const { compared, rule } = stage;
  const { table } = compared.pair;
  const done = (rows: number) =>
    run.progress({ phase: `staging ${table}`, done: rows, total: expected, unit: 'rows' });
  await stageRows(session, reader, stage, { from: compared, where: isActive(rule, 'd'), done });
  const staged = await countStaged(session, stage, 'iudD');
  if (staged === expected) return;
  throw new HoldfastError(
    'CheckFailed',
    `the restored copy gave ${staged} of ${expected} approved rows of ${table}`,
    {
      hint: 'start the recovery again: the restored copy is not what the plan was made from',
    },
  );
}

/** Stages the rows of a difference, `d`, for which this is true; what is there of the same key is replaced. */
export async function stageRows(
  session: Connection,
  reader: Connection,
  { compared, rows }: Stage,
  { from, where, done }: { from: Compared; where: string; done: (rows: number) => void },
): Promise<void> {
  const { pair } = compared;
  const columns = stagedColumns(compared);
  const marked = [HOW, COUNT, HASH, ...columns];
  const how = "ELT(d.holdfast_kind, 'i', 'u', 'd')";
  const write = async (values: string[], source: string, kinds: string) => {
    const stream = reader.stream(
      `SELECT ${values.join(', ')} FROM ${source} WHERE d.holdfast_kind IN (${kinds}) AND ${where}`,
    );
    await leniently(session, () =>
      insertRows(session, rows, tuples(stream, marked), { verb: 'REPLACE', done }),
    );
  };
  const coming = columns.map((column) => readValue(column, 'c'));
  const going = columns.map((column) =>
    pair.key?.includes(column.name) === true ? readValue(column, 'd') : 'NULL',
  );
  if (pair.key !== null) {
    const joined = `${from.diff} AS d JOIN ${compared.rows} AS c ON ${sameKey(pair, 'd', 'c')}`;
    await write([how, 'd.holdfast_count', hashOf(pair, 'c'), ...coming], joined, '1, 2');
    await write([how, 'd.holdfast_count', '0', ...going], `${from.diff} AS d`, '3');
    return;
  }
  // In this order the hash of each row is looked up; the other way round the table is read for each hash.
  const joined = `${compared.rows} AS c STRAIGHT_JOIN ${from.diff} AS d ON d.holdfast_hash = ${hashOf(pair, 'c')}`;
  await write([how, 'd.holdfast_count', 'd.holdfast_hash', ...coming], joined, '1');
  const all = `IF(d.holdfast_count = l.holdfast_count, 'D', 'd')`;
  const there = `${from.diff} AS d JOIN ${from.live} AS l ON ${sameKey(pair, 'l', 'd')}`;
  await write([all, 'd.holdfast_count', 'd.holdfast_hash', ...going], there, '3');
}

const PLAIN = {
  ...{ charset: null, collation: null, nullable: false, generated: null },
  ...{ invisible: false, autoIncrement: false, hasDefault: false },
};
const HOW: Column = { name: 'holdfast_how', type: 'char', fullType: 'char(1)', ...PLAIN };
const COUNT: Column = { name: 'holdfast_count', type: 'int', fullType: 'int unsigned', ...PLAIN };

/** How many rows of the table are to be changed in one of these ways. */
export async function countStaged(session: Connection, { rows }: Stage, how: string): Promise<number> {
  const [row] = await session.query<{ n: string }>(
    `SELECT IFNULL(SUM(holdfast_count), 0) AS n FROM ${rows} WHERE ${isStaged(how)}`,
  );
  return Number(row?.n);
}

/** SQL: a staged row is to be changed in one of these ways. */
export function isStaged(how: string, alias = ''): string {
  const column = alias === '' ? 'holdfast_how' : `${alias}.holdfast_how`;
  return `${column} IN (${[...how].map((letter) => `'${letter}'`).join(', ')})`;
}

/** `t.k = s.k AND …`: a row of production's table and a staged one; without a key by their hash. */
export function isRow({ pair }: Compared, table: string, staged: string): string {
  if (pair.key !== null) return sameKey(pair, table, staged);
  return `${staged}.holdfast_hash = ${hashOf(pair, table)}`;
}

/** As an UPDATE or INSERT names columns. */
export const namesOf = (columns: readonly string[]): string =>
  columns.map((name) => quoteTable([name])).join(', ');

/** Marks staged rows as vanished: those of the keys `d` of this query of the scratch db. */
export async function dropStaged(
  session: Connection,
  reader: Connection,
  { compared, rows }: Stage,
  from: string,
): Promise<void> {
  const columns = [HASH, ...stagedColumns(compared)];
  const isKey = ({ name }: Column) => keyColumns(compared.pair).some((key) => key.name === name);
  const values = columns.map((column) =>
    isKey(column) ? readValue(column, 'd') : column === HASH ? '0' : 'NULL',
  );
  const stream = reader.stream(`SELECT 'v', 0, ${values.join(', ')} FROM ${from}`);
  await insertRows(session, rows, tuples(stream, [HOW, COUNT, ...columns]), { verb: 'REPLACE' });
}
