import { createHash } from 'node:crypto';
import { dirname } from 'node:path/posix';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { parseNameParts } from '../../../model/table.ts';
import { planChanged } from '../../approved.ts';
import type { AppliedChange, ImportResult, UndoInput, UndoTable } from '../../contract/change.ts';
import { ruleOf } from '../../rule-of.ts';
import { leniently } from '../compare/scratch.ts';
import { type Connection, withConnection } from '../connection.ts';
import { quoteTable } from '../identifier.ts';
import { type Applied, applyStages } from '../import/apply.ts';
import { bePatient, type Changed, type Changing, changeProduction, commitMarked } from '../import/change.ts';
import { beginLocked } from '../import/locks.ts';
import type { Marker } from '../import/marker.ts';
import { keepLost, requireReferences } from '../import/references.ts';
import { markExchanged } from '../import/settle.ts';
import { requireSameTable } from '../import/unchanged.ts';
import { keepReplaced, keepWritten, undoData, undoTable } from '../import/undo-writer.ts';
import { type CreatedTable, describeCreated } from './created-table.ts';
import { dropLocks, dropTables, requireSameContent } from './drop-created.ts';
import { type Judgement, judge, madeDrops } from './judge.ts';
import { ruleComparison } from './plan.ts';
import { requireAsJudged, stageUndo, type UndoStage } from './stage.ts';
import { readUndone } from './undone.ts';

/**
 * Engine.undo: takes an import back as it was approved, in one transaction, exactly once, as an import does it. What
 * it replaces is kept first, so that it can be taken back itself. Tables that the import made are dropped right after
 * the commit, and locked until then. Throws PlanChanged (nothing was changed) where others have changed a row of it since
 * the plan, LockNotAvailable, CheckFailed, and what planUndo throws.
 */
export async function undo(input: UndoInput, run: Run): Promise<ImportResult> {
  const result = await changeProduction(input.production, input, changingOf(input), run, (session, marker) =>
    undoWithin(session, marker, input, run),
  );
  // An attempt that committed may have ended before it had dropped them.
  await dropPlanned(input, run);
  return result;
}

/** The folder of the undo data is one of each attempt, in a folder of the runbook. */
function changingOf({ undo: store, record, comparisons }: UndoInput): Changing {
  const tables = record.undo?.tables ?? [];
  const names = [
    ...tables.flatMap(({ created, table }) => created ?? table),
    ...comparisons.map(({ table }) => table),
  ];
  const id = createHash('sha256')
    .update(`undo ${dirname(store.folder)}`)
    .digest('hex')
    .slice(0, 12);
  return { schemas: names.map((name) => parseNameParts(name)[0] as string), id };
}

async function undoWithin(
  session: Connection,
  marker: Marker,
  input: UndoInput,
  run: Run,
): Promise<ImportResult> {
  const judgement = await judgeAgain(session, input, run);
  const stages: UndoStage[] = [];
  for (const judged of judgement.tables) {
    run.progress({ phase: `staging ${judged.table.data.table}` });
    stages.push(await stageUndo(session, judged, judgement));
  }
  const dropped = judgement.created.flatMap(({ table, drop }) => (drop ? [table] : []));
  await session.execute('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  return commitMarked(session, input, marker, run, () => changeTables(session, input, stages, dropped, run));
}

/** What is there now, under the rule that was approved: only where it is the same as in the plan it is done. */
async function judgeAgain(session: Connection, input: UndoInput, run: Run): Promise<Judgement> {
  const judgement = await leniently(session, async () =>
    judge(session, await readUndone(session, input, run), input.conflict, run),
  );
  for (const comparison of input.comparisons) {
    const now = ruleComparison(judgement, comparison.table);
    if (now.refusal !== null) {
      throw new HoldfastError('CheckFailed', `this cannot be taken back: ${now.refusal}`, {
        hint: 'nothing was changed; look at the new plan and approve that',
      });
    }
    if (now.keysSha256 === ruleOf(comparison, input.conflict).keysSha256) continue;
    throw planChanged(`others have changed rows of ${comparison.table}`);
  }
  return judgement;
}

/** Under the locks. */
async function changeTables(
  session: Connection,
  input: UndoInput,
  undoStages: readonly UndoStage[],
  dropped: readonly CreatedTable[],
  run: Run,
): Promise<Changed> {
  const stages = undoStages.map(({ stage }) => stage);
  await beginLocked(session, stages, input.lockTimeoutMs, run, dropLocks(session, dropped));
  await bePatient(session, false);
  for (const { judged } of undoStages) await requireSameTable(session, judged.table.compared.pair);
  for (const one of undoStages) await requireAsJudged(session, one);
  for (const table of dropped) await requireSameContent(session, table);
  const replaced: Awaited<ReturnType<typeof keepReplaced>>[] = [];
  for (const stage of stages) {
    run.progress({ phase: `keeping what ${stage.compared.pair.table} holds` });
    await markExchanged(session, stage);
    replaced.push(await keepReplaced(session, input.undo, stage));
    await keepLost(session, stage);
  }
  run.progress({ phase: 'changing production' });
  const applied = await applyStages(session, stages);
  for (const stage of stages) await requireReferences(session, stage, quoteTable);
  const kept: UndoTable[] = [];
  for (const [at, stage] of stages.entries()) {
    const inserted = await keepWritten(session, input.undo, stage);
    kept.push(undoTable(stage, { replaced: replaced[at] ?? null, inserted }, applied[at] as Applied));
  }
  const tables = input.comparisons.map((comparison): AppliedChange => {
    const { change } = ruleOf(comparison, input.conflict);
    const at = undoStages.findIndex(({ judged }) => judged.table.data.table === comparison.table);
    const counts = applied[at] ?? { inserted: 0, updated: 0, deleted: change.deletes };
    return { ...change, ...counts, vanished: 0, drifted: 0, created: null };
  });
  return { tables, undo: await undoData(session, input.undo, kept) };
}

/** Drops what the plan drops and is still just that. */
async function dropPlanned(input: UndoInput, run: Run): Promise<void> {
  const made = (input.record.undo?.tables ?? []).filter(({ created }) => created !== null);
  if (made.length === 0) return;
  run.progress({ phase: 'dropping tables that the import made' });
  const { id } = changingOf(input);
  const options = { applicationName: 'undo', lockTimeoutMs: input.lockTimeoutMs };
  const access = { ...input.production, database: '' };
  await withConnection(
    access,
    run,
    async (session) => {
      const created: CreatedTable[] = [];
      for (const data of made) created.push(await describeCreated(session, data));
      const judgement: Judgement = {
        rule: input.conflict,
        tables: [],
        created: madeDrops(created, input.conflict),
      };
      const isPlanned = ({ data }: CreatedTable) => {
        const comparison = input.comparisons.find(({ table }) => table === data.table);
        if (comparison === undefined) return false;
        return (
          ruleComparison(judgement, data.table).keysSha256 === ruleOf(comparison, input.conflict).keysSha256
        );
      };
      const going = judgement.created.flatMap(({ table, drop }) => (drop && isPlanned(table) ? [table] : []));
      await dropTables(session, going, (index) => `holdfast_making_${id}_going_${index}`);
    },
    options,
  );
}
