import { createHash } from 'node:crypto';
import type { UndoRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { type Actions, actionsOf } from '../../undo-actions.ts';
import { dropsOf } from '../../undo-drops.ts';
import { listOf } from '../compare/scratch.ts';
import type { Connection } from '../connection.ts';
import type { CreatedTable } from './created-table.ts';
import { type Judging, questions } from './questions.ts';
import { GOING } from './rows.ts';
import { identifying, judgedColumns, type UndoneTable } from './undone-table.ts';

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
  const judging = { session, actions: actionsOf(rule), tables, created: madeDrops(undone.created, rule) };
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

export function madeDrops(tables: readonly CreatedTable[], rule: UndoRule): Judgement['created'] {
  return dropsOf(
    tables,
    rule,
    ({ table }) => table !== null,
    ({ dependents }, going) =>
      dependents.some(({ child }) => !going.some(({ table }) => table?.qualified === child)),
  );
}

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
