import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import { planChanged } from '../../approved.ts';
import type { AppliedChange, ImportResult, UndoData, UndoInput, UndoTable } from '../../contract/change.ts';
import { ruleOf } from '../../rule-of.ts';
import { quoteIdentifier } from '../identifier.ts';
import { type Changed, changeProduction, commitLocked } from '../import/change.ts';
import { refersTo } from '../import/stage-sql.ts';
import { withTriggersOff } from '../import/triggers.ts';
import { keepRows } from '../import/undo-writer.ts';
import type { CreatedTable } from './created-table.ts';
import { type Judgement, judge } from './judge.ts';
import { ruleComparison } from './plan.ts';
import { markServer, shortTransaction } from './server-mark.ts';
import {
  becomingRows,
  goingRows,
  isBecoming,
  isGoing,
  losingRows,
  stageUndo,
  type UndoStage,
} from './stage.ts';
import { locksOf } from './undo-locks.ts';
import { readUndone } from './undone.ts';

const NOTHING_CHANGED = 'nothing was changed; look at the new plan and approve that';

/**
 * Engine.undo: takes an import back as it was approved, in one transaction, exactly once, as an import does it. What
 * it replaces is kept first, so that it can be taken back itself. Throws PlanChanged (nothing was changed) where
 * others have changed a row of it since the plan, LockNotAvailable, CheckFailed, and what planUndo throws.
 */
export async function undo(input: UndoInput, run: Run): Promise<ImportResult> {
  return changeProduction(input.production, input, run, async (client) => {
    const judgement = await judgeAgain(client, input, run);
    const transaction = shortTransaction(input.record.transaction);
    const stages: UndoStage[] = [];
    for (const [index, judged] of judgement.tables.entries()) {
      run.progress({ phase: `staging ${judged.table.data.table}` });
      stages.push(await stageUndo(client, judged, index, input.conflict));
    }
    const dropped = judgement.created.flatMap(({ table, drop }) => (drop ? [table] : []));
    const kept: UndoTable[] = [];
    for (const [index, stage] of stages.entries()) kept.push(await keepBefore(client, input, stage, index));
    const locks = await locksOf(client, stages, dropped);
    return commitLocked(client, input, locks, run, async () => {
      run.progress({ phase: 'changing production' });
      await refuseCascades(client, stages, dropped);
      await dropCreated(client, dropped, transaction);
      const oids = stages.map(({ judged }) => judged.table.relation.oid);
      await withTriggersOff(client, oids, async () => {
        await client.query('SET CONSTRAINTS ALL DEFERRED');
        if (stages.length > 0) await apply(client, stages);
        // Now, not at the commit: what is written to the journal has to be able to commit.
        await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      });
      return resultOf(input, stages, { tables: kept, undo: await undoOf(client, input, kept) });
    });
  });
}

/** What is there now, under the rule that was approved: only where it is the same as in the plan it is done. */
async function judgeAgain(client: pg.Client, input: UndoInput, run: Run): Promise<Judgement> {
  let judgement: Judgement;
  try {
    judgement = await judge(client, await readUndone(client, input, run), input.conflict, run);
    // The snapshot ends; what was found in it stays.
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
  for (const comparison of input.comparisons) {
    const approved = ruleOf(comparison, input.conflict);
    const now = ruleComparison(judgement, comparison.table);
    if (now.refusal !== null) {
      throw new HoldfastError('CheckFailed', `this cannot be taken back: ${now.refusal}`, {
        hint: NOTHING_CHANGED,
      });
    }
    if (now.keysSha256 !== approved.keysSha256) throw othersChanged(comparison.table);
  }
  return judgement;
}

function othersChanged(table: string): HoldfastError {
  return planChanged(`others have changed rows of ${table}`);
}

/** Keeps what the undo replaces. The rows are those that are changed later, or nothing is: see {@link UndoStage}. */
async function keepBefore(
  client: pg.Client,
  { undo: store }: UndoInput,
  stage: UndoStage,
  index: number,
): Promise<UndoTable> {
  const { data, relation } = stage.judged.table;
  const { counts } = stage.judged;
  const columns = relation.columns.filter((column) => !column.generated).map(({ name }) => name);
  const values = columns.map((column) => `t.${quoteIdentifier(column)}`).join(', ');
  const replaced: string[] = [];
  if (counts.deletes > 0) replaced.push(`SELECT 'd', ${values} FROM ${goingRows(stage)}`);
  if (counts.updates + counts.replaces > 0)
    replaced.push(`SELECT 'u', ${values} FROM ${becomingRows(stage)}`);
  const keys = (data.key ?? []).map(quoteIdentifier).join(', ');
  const isKept = counts.inserts > 0 && data.key !== null;
  return {
    table: formatNameParts([relation.schema, relation.name]),
    created: null,
    createdId: null,
    key: data.key,
    columns,
    inserted: isKept
      ? await keepRows(
          client,
          store,
          `${index}.inserted.zst`,
          `SELECT ${keys} FROM ${stage.back} WHERE holdfast_how = 'i'`,
        )
      : null,
    replaced:
      replaced.length === 0
        ? null
        : await keepRows(client, store, `${index}.replaced.zst`, replaced.join(' UNION ALL ')),
    counts: { inserted: counts.inserts, updated: counts.updates + counts.replaces, deleted: counts.deletes },
  };
}

async function undoOf(
  client: pg.Client,
  { undo: store }: UndoInput,
  kept: readonly UndoTable[],
): Promise<UndoData | null> {
  const tables = kept.filter(({ counts }) => counts.inserted + counts.updated + counts.deleted > 0);
  if (tables.length === 0) return null;
  const objects = tables.flatMap(({ inserted, replaced }) => [...(inserted ?? []), ...(replaced ?? [])]);
  return {
    folder: store.folder,
    expiresAt: store.expiresAt,
    sizeBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    server: await markServer(client),
    tables,
  };
}

/** A foreign key must not act on rows that the undo leaves alone. Throws PlanChanged. */
async function refuseCascades(
  client: pg.Client,
  stages: readonly UndoStage[],
  dropped: readonly CreatedTable[],
): Promise<void> {
  for (const stage of stages) {
    for (const reference of stage.judged.table.relation.referencedBy) {
      if (dropped.some((table) => table.relation?.oid === reference.oid)) continue;
      const child = stages.find((other) => other.judged.table.relation.oid === reference.oid);
      const staying =
        child === undefined
          ? ''
          : `AND NOT EXISTS (SELECT FROM ${child.out} AS o WHERE ${isGoing(child, 'c', 'o')})
             AND NOT EXISTS (SELECT FROM ${child.back} AS o WHERE ${isBecoming(child, 'c', 'o')})`;
      for (const { from, action } of losingRows(stage, reference)) {
        if (!'cnd'.includes(action)) continue;
        const { rows } = await client.query<{ refers: boolean }>(
          `SELECT EXISTS (SELECT FROM ${reference.source} AS c
             WHERE EXISTS (SELECT FROM ${from} AND ${refersTo(reference, 'c', 't')}) ${staying}) AS refers`,
        );
        if (rows[0]?.refers === true) throw othersChanged(reference.table);
      }
    }
  }
}

/** Looks again first: nobody can change them any more. In one statement, since they may refer to each other. */
async function dropCreated(
  client: pg.Client,
  tables: readonly CreatedTable[],
  transaction: string,
): Promise<void> {
  for (const table of tables) await lookAgain(client, table, transaction);
  const names = tables.flatMap(({ relation }) => relation?.qualified ?? []);
  if (names.length === 0) return;
  await client.query(`DROP TABLE ${names.join(', ')}`).catch((error: { code?: string }) => {
    throw error.code === '2BP01' ? othersChanged(tables.map(({ data }) => data.created).join(', ')) : error;
  });
}

async function lookAgain(
  client: pg.Client,
  { relation, rows: planned, isChanged }: CreatedTable,
  transaction: string,
): Promise<void> {
  if (relation === null) return;
  const { rows } = await client.query<{ all: string; others: string }>(
    `SELECT pg_catalog.count(*) AS all, pg_catalog.count(*) FILTER (WHERE t.xmin <> $1::pg_catalog.xid) AS others
     FROM ${relation.source} AS t`,
    [transaction],
  );
  if (Number(rows[0]?.all) !== planned || (!isChanged && Number(rows[0]?.others) > 0)) {
    throw othersChanged(formatNameParts([relation.schema, relation.name]));
  }
}

/**
 * All rows of all tables in one statement: those that go first, then updates, then those that come, so that unique
 * values and references in any circle are right when it ends. Throws PlanChanged unless it did just what was staged.
 */
async function apply(client: pg.Client, stages: readonly UndoStage[]): Promise<void> {
  const parts: string[] = [];
  const expected: number[] = [];
  const names: string[] = [];
  const sum = (of: readonly string[]) =>
    ['0', ...of.map((name) => `(SELECT count(*) FROM ${name})`)].join(' + ');
  const add = (name: string, statement: string, count: number) => {
    if (count === 0) return;
    names.push(name);
    expected.push(count);
    parts.push(`${name} AS (${statement} RETURNING 1)`);
  };
  for (const [index, stage] of stages.entries()) {
    const { source } = stage.judged.table.relation;
    const { deletes, replaces } = stage.judged.counts;
    add(
      `gone_${index}`,
      `DELETE FROM ${source} AS t USING ${stage.out} AS s WHERE ${isGoing(stage, 't', 's')}`,
      deletes,
    );
    add(
      `replaced_${index}`,
      `DELETE FROM ${source} AS t USING ${stage.back} AS s WHERE s.holdfast_how = 'r' AND ${isBecoming(stage, 't', 's')}`,
      replaces,
    );
  }
  // Reading a part's rows to their end is what makes it happen before: a count is never less than nothing.
  parts.push(`cleared AS MATERIALIZED (SELECT ${sum(names)} AS n)`);
  for (const [index, stage] of stages.entries()) {
    const { data, relation, fixed } = stage.judged.table;
    const set = data.columns.filter((name) => !fixed.has(name)).map(quoteIdentifier);
    add(
      `updated_${index}`,
      `UPDATE ${relation.source} AS t SET ${set.map((name) => `${name} = s.${name}`).join(', ')} FROM ${stage.back} AS s
       WHERE s.holdfast_how = 'u' AND ${isBecoming(stage, 't', 's')} AND (SELECT n FROM cleared) >= 0`,
      stage.judged.counts.updates,
    );
  }
  parts.push(`updated AS MATERIALIZED (SELECT ${sum(names)} AS n)`);
  for (const [index, stage] of stages.entries()) {
    const { data, relation } = stage.judged.table;
    const columns = data.columns.map(quoteIdentifier);
    add(
      `inserted_${index}`,
      `INSERT INTO ${relation.qualified} (${columns.join(', ')}) OVERRIDING SYSTEM VALUE
       SELECT ${columns.map((name) => `s.${name}`).join(', ')} FROM ${stage.back} AS s
       WHERE s.holdfast_how IN ('i', 'r') AND (SELECT n FROM updated) >= 0`,
      stage.judged.counts.inserts + stage.judged.counts.replaces,
    );
  }
  if (names.length === 0) return;
  const counts = names.map((name) => `(SELECT count(*) FROM ${name})::pg_catalog.int4`);
  const { rows } = await client.query<number[]>({
    text: `WITH ${parts.join(',\n')}\nSELECT ${counts.join(', ')}`,
    rowMode: 'array',
  });
  for (const [position, count] of expected.entries()) {
    if (rows[0]?.[position] === count) continue;
    const stage = stages[Number(names[position]?.split('_')[1])] as UndoStage;
    throw othersChanged(stage.judged.table.data.table);
  }
}

function resultOf(
  input: UndoInput,
  stages: readonly UndoStage[],
  changed: { tables: UndoTable[]; undo: UndoData | null },
): Changed {
  const tables = input.comparisons.map((comparison): AppliedChange => {
    const { change } = ruleOf(comparison, input.conflict);
    const position = stages.findIndex(({ judged }) => judged.table.data.table === comparison.table);
    const counts = changed.tables[position]?.counts ?? { inserted: 0, updated: 0, deleted: change.deletes };
    return { ...change, ...counts, vanished: 0, drifted: 0, created: null };
  });
  return { tables, undo: changed.undo };
}
