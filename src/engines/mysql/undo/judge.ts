import { createHash } from 'node:crypto';
import type { UndoRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { type Actions, actionsOf } from '../../undo-actions.ts';
import { sameUnique } from '../compare/effects.ts';
import { listOf, sameValues } from '../compare/scratch.ts';
import { describeTable, isSameTable } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import type { CreatedTable } from './created-table.ts';
import { GOING } from './rows.ts';
import {
  identifying,
  isKnown,
  isRow,
  judgedColumns,
  judgedUniques,
  type Mirror,
  type UndoneTable,
} from './undone-table.ts';

/** What a rule does to a table. Which rows, is marked in its undo data until another rule is judged. */
export interface Judged {
  table: UndoneTable;
  counts: { deletes: number; updates: number; inserts: number };
  orphans: number;
  clashes: number;
  /** of every row and what the rule does to it: part of what an approval covers */
  keysSha256: string;
}

/** All of an undo under one rule. */
export interface Judgement {
  rule: UndoRule;
  tables: Judged[];
  created: { table: CreatedTable; drop: boolean }[];
}

interface Judging {
  session: Connection;
  actions: Actions;
  tables: readonly UndoneTable[];
  created: Judgement['created'];
}

/**
 * What happens to each row under a rule, judged by what the tables will hold in the end: rows whose going or coming back
 * would break a foreign key or a unique key are left alone, and then those that depend on them, until there are no more.
 */
export async function judge(
  session: Connection,
  undone: { tables: readonly UndoneTable[]; created: readonly CreatedTable[] },
  rule: UndoRule,
  run: Run,
): Promise<Judgement> {
  const { tables } = undone;
  const judging = { session, actions: actionsOf(rule), tables, created: dropsOf(undone.created, rule) };
  for (const table of tables) {
    await session.execute(`UPDATE ${table.rows} SET holdfast_left = NULL WHERE holdfast_left IS NOT NULL`);
    await mirror(judging, table);
  }
  for (let any = true; any; ) {
    any = false;
    for (const table of tables) {
      run.signal.throwIfAborted();
      run.progress({ phase: `checking references and unique keys of ${table.data.table}` });
      for await (const [why, rows] of questions(judging, table)) {
        if (!(await leave(session, table, why, rows))) continue;
        any = true;
        await mirror(judging, table);
      }
    }
  }
  const judged: Judged[] = [];
  for (const table of tables) judged.push(await judgedOf(judging, table));
  return { rule, tables: judged, created: judging.created };
}

/** Tables that may refer to each other go together: one stays where something needs it that stays. */
export function dropsOf(tables: readonly CreatedTable[], rule: UndoRule): Judgement['created'] {
  const going = new Set(
    tables.filter(({ table, isChanged }) => table !== null && (rule === 'overwrite-changed' || !isChanged)),
  );
  const isNeeded = ({ dependents }: CreatedTable) =>
    dependents.some(({ child }) => ![...going].some(({ table }) => table?.qualified === child));
  for (let staying = [...going].find(isNeeded); staying !== undefined; staying = [...going].find(isNeeded)) {
    going.delete(staying);
  }
  return tables.map((table) => ({ table, drop: going.has(table) }));
}

export const isDropped = ({ created }: Pick<Judgement, 'created'>, parts: readonly string[]): boolean =>
  created.some(({ table, drop }) => drop && table.table?.qualified === quoteTable(parts));

async function mirror({ session, actions }: Judging, table: UndoneTable): Promise<void> {
  const { rows, mirrors, compared } = table;
  const keys = identifying(table);
  const needed = judgedColumns(table);
  // Without a key equal rows stay as long as one of them does.
  const isAll = compared.pair.key === null ? 'AND s.holdfast_there <= s.holdfast_count' : '';
  for (const { going, coming } of mirrors) {
    await session.execute(`DELETE FROM ${going}`);
    await session.execute(`DELETE FROM ${coming}`);
    await session.execute(
      `INSERT INTO ${going} SELECT IF(${actions.deletes('s')}, 'd', 'u'), ${listOf(keys, 's')} FROM ${rows} AS s
       WHERE (${actions.deletes('s')} OR ${actions.updates('s')}) ${isAll}`,
    );
    const values = needed.length === 0 ? '' : `, ${listOf(needed, 's')}`;
    await session.execute(
      `INSERT INTO ${coming} SELECT s.holdfast_n${values} FROM ${rows} AS s WHERE ${actions.comes('s')}`,
    );
  }
}

/** Leaves alone the rows that a query finds by their numbers; whether there are any. */
async function leave(
  session: Connection,
  { rows, compared }: UndoneTable,
  why: 'o' | 'c',
  query: string,
): Promise<boolean> {
  const { found } = compared;
  await session.execute(`DELETE FROM ${found}`);
  const { foundRows } = await session.execute(
    `INSERT INTO ${found} SELECT DISTINCT s.holdfast_n, 0, 0 ${query}`,
  );
  if (foundRows > 0) {
    await session.execute(
      `UPDATE ${found} AS f JOIN ${rows} AS s ON s.holdfast_n = f.holdfast_n SET s.holdfast_left = '${why}'`,
    );
  }
  return foundRows > 0;
}

const isFilled = (names: readonly string[], alias: string) =>
  names.map((name) => `${alias}.${quoteIdentifier(name)} IS NOT NULL`).join(' AND ');

/** `FROM … WHERE …` for the rows `s` that have to be left alone. */
async function* questions(judging: Judging, table: UndoneTable): AsyncGenerator<['o' | 'c', string]> {
  const { session, actions, tables } = judging;
  const { rows, compared, mirrors } = table;
  const { production, key } = compared.pair;
  const { going } = mirrors[0] as Mirror;
  const mine = `${production.qualified} AS`;
  for (const index of judgedUniques(table)) {
    const other = key === null ? '' : `AND NOT (${isRow(table, 'o', 's')})`;
    yield [
      'c',
      `FROM ${rows} AS s STRAIGHT_JOIN ${mine} o ON ${sameUnique(index, 'o', 's')} ${other}
       LEFT JOIN ${going} AS g ON ${isRow(table, 'o', 'g')} WHERE ${actions.comes('s')} AND g.holdfast_what IS NULL`,
    ];
  }
  for (const { columns, parent, parentColumns } of production.foreignKeys) {
    if (!isKnown(table, columns)) continue;
    const isThere =
      !isDropped(judging, parent) && (await describeTable(session, parent as [string, string])) !== null;
    const there = isThere ? holds(tables, parent, parentColumns, { names: columns, alias: 's' }, 0) : 'FALSE';
    yield [
      'o',
      `FROM ${rows} AS s WHERE ${actions.comes('s')} AND ${isFilled(columns, 's')} AND NOT ${there}`,
    ];
  }
  for (const { columns, child, parentColumns } of production.referencedBy) {
    if (isDropped(judging, child)) continue;
    const isSelf = isSameTable(child, compared.pair.parts);
    const now = { names: parentColumns, alias: 't' };
    const same = parentColumns
      .map((name) => `t.${quoteIdentifier(name)} <=> s.${quoteIdentifier(name)}`)
      .join(' AND ');
    const loses = isKnown(table, parentColumns) ? `(${actions.updates('s')} AND NOT (${same}))` : 'FALSE';
    const source =
      key === null ? `${mine} t STRAIGHT_JOIN ${rows} AS s` : `${rows} AS s STRAIGHT_JOIN ${mine} t`;
    yield [
      'o',
      `FROM ${source} ON ${isRow(table, 't', 's')}
       WHERE (${actions.deletes('s')} OR ${loses}) AND ${isFilled(parentColumns, 't')}
         AND NOT ${holds(tables, compared.pair.parts, parentColumns, now, 0)}
         AND ${holds(tables, child, columns, now, isSelf ? 1 : 0)}`,
    ];
  }
}

/** SQL: in the end a row of the table has in these columns the values that `alias` has in its own. */
function holds(
  tables: readonly UndoneTable[],
  parts: readonly string[],
  columns: readonly string[],
  { names, alias }: { names: readonly string[]; alias: string },
  number: number,
): string {
  const source = `${quoteTable(parts)} AS h`;
  const same = (other: string) => sameValues(names, alias, other, columns);
  const table = tables.find(({ compared }) => isSameTable(compared.pair.parts, parts));
  if (table === undefined) return `EXISTS (SELECT 1 FROM ${source} WHERE ${same('h')})`;
  const { going, coming } = table.mirrors[number] as Mirror;
  const isFully = isKnown(table, columns);
  // A row that is set back keeps what the undo data does not know.
  const gone = `LEFT JOIN ${going} AS hg ON ${isRow(table, 'h', 'hg')}${isFully ? '' : ` AND hg.holdfast_what = 'd'`}`;
  const stays = `EXISTS (SELECT 1 FROM ${source} ${gone} WHERE ${same('h')} AND hg.holdfast_what IS NULL)`;
  return isFully ? `(${stays} OR EXISTS (SELECT 1 FROM ${coming} AS hc WHERE ${same('hc')}))` : stays;
}

async function judgedOf({ session, actions }: Judging, table: UndoneTable): Promise<Judged> {
  const count = (condition: string, what = '1') =>
    `CAST(IFNULL(SUM(IF(${condition}, ${what}, 0)), 0) AS CHAR)`;
  const [row] = await session.query<Record<string, string>>(
    `SELECT ${count(actions.deletes('s'), GOING('s'))} AS deletes, ${count(actions.updates('s'))} AS updates,
       ${count(actions.inserts('s'))} AS inserts, ${count(`s.holdfast_left = 'o'`)} AS orphans,
       ${count(`s.holdfast_left = 'c'`)} AS clashes FROM ${table.rows} AS s`,
  );
  const { deletes, updates, inserts, orphans, clashes } = row ?? {};
  return {
    table,
    counts: { deletes: Number(deletes), updates: Number(updates), inserts: Number(inserts) },
    orphans: Number(orphans),
    clashes: Number(clashes),
    keysSha256: await digestOf(session, table, actions),
  };
}

async function digestOf(session: Connection, { data, rows }: UndoneTable, actions: Actions): Promise<string> {
  const hash = createHash('sha256');
  for (const object of [...(data.inserted ?? []), ...(data.replaced ?? [])]) hash.update(object.sha256);
  const wanted = actions.wanted('s');
  const marks = session.stream(
    `SELECT s.holdfast_kind, ${wanted}, s.holdfast_left, IF(${wanted} <> 'n', s.holdfast_now, NULL),
       IF(${wanted} = 'd', ${GOING('s')}, NULL) FROM ${rows} AS s ORDER BY s.holdfast_n`,
  );
  for await (const line of marks) hash.update(`${line.map((value) => value?.toString() ?? '').join(',')}\n`);
  return hash.digest('hex');
}
