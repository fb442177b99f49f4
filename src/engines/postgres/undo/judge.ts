import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { UndoRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { type Actions, actionsOf } from '../../undo-actions.ts';
import { dropsOf } from '../../undo-drops.ts';
import { copyOut } from '../compare/copy-out.ts';
import type { CreatedTable } from './created-table.ts';
import { leaveReferred, leaveReferring, type Undoing } from './judge-references.ts';
import { leaveClashes, replaceIdentities } from './judge-uniques.ts';
import type { UndoneTable } from './undo-table.ts';

/** What a rule does to a table. Which rows, is marked in its undo data until another rule is judged. */
export interface Judged {
  table: UndoneTable;
  /** `replaces`: updates that are done by deleting and inserting the row */
  counts: { deletes: number; updates: number; replaces: number; inserts: number };
  orphans: number;
  clashes: number;
  /** some row that would come has no partition any more */
  isUnplaced: boolean;
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
 * What happens to each row under a rule. Rows whose going or coming back would break a foreign key or a unique key, or
 * take other rows along, are left alone, and then those that depend on them, until nothing changes any more.
 */
export async function judge(
  client: pg.Client,
  undone: { tables: readonly UndoneTable[]; created: readonly CreatedTable[] },
  rule: UndoRule,
  run: Run,
): Promise<Judgement> {
  const created = madeDrops(undone.created, rule);
  const actions = actionsOf(rule);
  const undoing: Undoing = {
    client,
    actions,
    byOid: new Map(undone.tables.map((table) => [table.relation.oid, table])),
    dropped: new Set(
      created.flatMap(({ table, drop }) => (drop && table.relation ? [table.relation.oid] : [])),
    ),
  };
  for (const table of undone.tables) {
    await client.query(`UPDATE ${table.rows} SET holdfast_left = NULL WHERE holdfast_left IS NOT NULL`);
    await replaceIdentities(undoing, table);
  }
  for (let hasChanged = true; hasChanged; ) {
    hasChanged = false;
    for (const table of undone.tables) {
      run.signal.throwIfAborted();
      run.progress({ phase: `checking references and unique keys of ${table.data.table}` });
      const left =
        (await leaveReferred(undoing, table)) +
        (await leaveReferring(undoing, table)) +
        (await leaveClashes(undoing, table));
      hasChanged ||= left > 0;
    }
  }
  const tables: Judged[] = [];
  for (const table of undone.tables) tables.push(await judged(client, table, actions));
  return { rule, tables, created };
}

function madeDrops(tables: readonly CreatedTable[], rule: UndoRule): Judgement['created'] {
  return dropsOf(
    tables,
    rule,
    ({ relation }) => relation !== null,
    ({ dependents }, going) =>
      dependents.some(({ tableOid }) => !going.some(({ relation }) => relation?.oid === tableOid)),
  );
}

async function judged(client: pg.Client, table: UndoneTable, actions: Actions): Promise<Judged> {
  const isReplaced = `s.holdfast_left = 'r'`;
  const count = (condition: string) => `count(*) FILTER (WHERE ${condition})`;
  const { rows } = await client.query<string[]>({
    text: `SELECT ${count(actions.deletes('s'))}, ${count(`${actions.updates('s')} AND s.holdfast_left IS NULL`)},
      ${count(`${actions.updates('s')} AND ${isReplaced}`)}, ${count(actions.inserts('s'))},
      ${count(`s.holdfast_left = 'o'`)}, ${count(`s.holdfast_left = 'c'`)} FROM ${table.rows} AS s`,
    rowMode: 'array',
  });
  const [deletes = 0, updates = 0, replaces = 0, inserts = 0, orphans = 0, clashes = 0] = (rows[0] ?? []).map(
    Number,
  );
  return {
    table,
    counts: { deletes, updates, replaces, inserts },
    orphans,
    clashes,
    isUnplaced: await hasUnplaced(client, table, actions),
    keysSha256: await digestOf(client, table, actions),
  };
}

async function digestOf(client: pg.Client, { data, rows }: UndoneTable, actions: Actions): Promise<string> {
  const hash = createHash('sha256');
  for (const object of [...(data.inserted ?? []), ...(data.replaced ?? [])]) hash.update(object.sha256);
  const wanted = actions.wanted('s');
  const marks = `SELECT s.holdfast_kind, ${wanted}, s.holdfast_left, CASE WHEN ${wanted} <> 'n' AND s.holdfast_state = 'c'
    THEN s.holdfast_writer END FROM ${rows} AS s ORDER BY s.holdfast_n`;
  for await (const piece of copyOut(client, `COPY (${marks}) TO STDOUT`)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function hasUnplaced(client: pg.Client, table: UndoneTable, actions: Actions): Promise<boolean> {
  const { relation, rows } = table;
  if (!relation.partitioned || table.data.replaced === null) return false;
  // A partition without a condition takes every row: the default one, where it is the only one.
  const taken = relation.leaves.map(({ condition }) => `(${condition ?? 'true'}) IS NOT FALSE`);
  const found = await client.query<{ unplaced: boolean }>(
    `SELECT EXISTS (SELECT FROM ${rows} AS t
       WHERE ${actions.comes('t')} AND NOT (${['false', ...taken].join(' OR ')})) AS unplaced`,
  );
  return found.rows[0]?.unplaced === true;
}
