import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import { requireApproved, tooMuchDrift } from '../../approved.ts';
import type {
  AppliedChange,
  ImportInput,
  ImportResult,
  TableComparison,
  UndoTable,
} from '../../contract/change.ts';
import { ruleOf } from '../../rule-of.ts';
import { besideParts, refuseTaken } from '../compare/beside.ts';
import { withScratch } from '../compare/compare.ts';
import { isActive, type WritingRule } from '../compare/effects.ts';
import { hashKeys } from '../compare/keys-hash.ts';
import { describePair, type TablePair } from '../compare/pair.ts';
import { refuseUnentitled } from '../compare/rights.ts';
import { type Compared, comparedOf, hashOf, type Scratch, sameKey } from '../compare/scratch.ts';
import { partsOf } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { quoteTable } from '../identifier.ts';
import { type Applied, applyStages } from './apply.ts';
import { bePatient, type Changed, changeProduction, commitMarked } from './change.ts';
import { type Drift, takeDrift } from './drift.ts';
import { beginLocked } from './locks.ts';
import { finishTable, type Making, makeTable } from './make-table.ts';
import { type Marker, makingName } from './marker.ts';
import { createLost, keepLost, madeNames, requireReferences } from './references.ts';
import { createMoving, markExchanged, settle } from './settle.ts';
import { createStage, type Stage, stageApproved } from './stage.ts';
import { requireSameTable } from './unchanged.ts';
import { createdTable, keepReplaced, keepWritten, undoData, undoTable } from './undo-writer.ts';

/**
 * Changes production as it was approved: staged in temporary tables, then one transaction. Exactly once, whatever is
 * killed when: {@link Marker}. What it replaces is kept before it is changed. Throws PlanChanged (nothing was changed)
 * where production has moved beyond the allowed drift or an approved row cannot come back any more, LockNotAvailable where
 * the rows are not had in time, CheckFailed, PermissionDenied.
 */
export async function importRows(input: ImportInput, run: Run): Promise<ImportResult> {
  const schemas = input.comparisons.map(({ table }) => partsOf(table, input.production.database)[0]);
  return changeProduction(input.production, input, { schemas, id: input.copyId }, run, (session, marker) =>
    withScratch(input, scratchOf(input.comparisons), run, (scratch) =>
      importInto(session, scratch, marker, input, run),
    ),
  );
}

/** The scratch db that a plan was made in. */
export function scratchOf([first]: readonly TableComparison[]): string {
  return first?.keysFolder.split('/', 1)[0] ?? '';
}

async function importInto(
  session: Connection,
  scratch: Scratch,
  marker: Marker,
  input: ImportInput,
  run: Run,
): Promise<ImportResult> {
  const pairs: TablePair[] = [];
  for (const { table } of input.comparisons) {
    pairs.push(await describePair(session, scratch.reader, table, input.production.database));
  }
  await refuseTaken(session, pairs, input.copyId);
  await refuseUnentitled(session, pairs);
  for (const [index, pair] of pairs.entries()) {
    requireApproved(pair, input.comparisons[index] as TableComparison, input.conflict);
  }
  const all = pairs.map((pair, index) => comparedOf(pair, scratch.schema, index));
  for (const [index, compared] of all.entries()) {
    await requireKeys(scratch, compared, input.comparisons[index] as TableComparison, input.conflict);
  }
  const makings = all.map((compared) => makingOf(compared, marker, input));
  const made = madeNames(
    makings.flatMap((making, index) =>
      making === null ? [] : [{ parts: (pairs[index] as TablePair).parts, ...making }],
    ),
  );
  const beside = input.conflict === 'side-by-side';
  for (const making of makings) if (making !== null) await makeTable(session, scratch.reader, making, run);
  for (const making of makings)
    if (making?.whole === true) await finishTable(session, scratch.reader, making, made);
  const stages: Stage[] = [];
  if (!beside) {
    for (const compared of all)
      stages.push(await createStage(session, compared, input.conflict as WritingRule, pairs));
  }
  for (const stage of stages) {
    if (stage.compared.pair.gone) continue;
    const { inserts, updates, deletes } = changeOf(input, stage.compared.index);
    await createLost(session, stage);
    await createMoving(session, stage);
    await stageApproved(session, scratch, stage, inserts + updates + deletes, run);
  }
  return commitMarked(session, input, marker, run, async () => {
    if (beside) {
      await beginLocked(session, [], input.lockTimeoutMs, run);
      return madeOnly(session, input, all, makings as Making[]);
    }
    return changeTables(session, scratch, input, stages, made, run);
  });
}

const changeOf = (input: ImportInput, index: number) =>
  ruleOf(input.comparisons[index] as TableComparison, input.conflict).change;

/** The rows that were approved are those in the scratch db. */
async function requireKeys(
  scratch: Scratch,
  compared: Compared,
  comparison: TableComparison,
  conflict: ConflictRule,
): Promise<void> {
  const hashes = await hashKeys(scratch, compared).catch((error: unknown) => {
    if (refusalOf(error) === null) throw error;
    return null;
  });
  if (hashes?.[conflict] === ruleOf(comparison, conflict).keysSha256) return;
  throw new HoldfastError('CheckFailed', `the comparison of ${comparison.table} is not what was approved`, {
    hint: 'nothing was changed; start the recovery again',
  });
}

/** The table that is to be made for this one, if any: a copy beside it, or itself where it is gone. */
function makingOf({ pair, diff, rows, index }: Compared, marker: Marker, input: ImportInput): Making | null {
  const { inserts } = changeOf(input, index);
  const making = {
    restored: pair.restored,
    qualified: quoteTable([pair.parts[0], makingName(marker, index)]),
  };
  if (input.conflict === 'side-by-side') {
    return { ...making, from: `FROM ${pair.restored.qualified} AS c`, expected: inserts, whole: false };
  }
  if (!pair.gone) return null;
  const row = pair.key === null ? `d.holdfast_hash = ${hashOf(pair, 'c')}` : sameKey(pair, 'd', 'c');
  const from = `FROM ${rows} AS c STRAIGHT_JOIN ${diff} AS d ON ${row} WHERE ${isActive(input.conflict, 'd')}`;
  return { ...making, from, expected: inserts, whole: true };
}

async function madeOnly(
  session: Connection,
  input: ImportInput,
  all: readonly Compared[],
  makings: readonly Making[],
): Promise<Changed> {
  const tables: AppliedChange[] = [];
  const kept: UndoTable[] = [];
  for (const { pair, index } of all) {
    const change = changeOf(input, index);
    const parts = besideParts(pair, input.copyId);
    const counts = { inserted: change.inserts, updated: 0, deleted: 0 };
    tables.push({ ...change, ...counts, vanished: 0, drifted: 0, created: formatNameParts(parts) });
    kept.push(await createdTable(session, makings[index] as Making, pair.parts, parts));
  }
  return { tables, undo: await undoData(session, input.undo, kept) };
}

/** Under the locks. */
async function changeTables(
  session: Connection,
  scratch: Scratch,
  input: ImportInput,
  stages: readonly Stage[],
  made: (parts: readonly string[]) => string,
  run: Run,
): Promise<Changed> {
  const there = stages.filter(({ compared: { pair } }) => !pair.gone);
  await beginLocked(session, there, input.lockTimeoutMs, run);
  await bePatient(session, false);
  for (const { compared } of stages) await requireSameTable(session, compared.pair);
  const drifts = await settleStages(session, scratch, input, stages, run);
  const replaced = new Map<Stage, Awaited<ReturnType<typeof keepReplaced>>>();
  for (const stage of there) {
    run.progress({ phase: `keeping what ${stage.compared.pair.table} holds` });
    replaced.set(stage, await keepReplaced(session, input.undo, stage));
    await keepLost(session, stage);
  }
  run.progress({ phase: 'changing production' });
  const counts = await applyStages(session, there);
  for (const stage of stages) await requireReferences(session, stage, made);
  const tables: AppliedChange[] = [];
  const kept: UndoTable[] = [];
  for (const [index, stage] of stages.entries()) {
    const { pair } = stage.compared;
    const change = changeOf(input, index);
    const applied = pair.gone
      ? { inserted: change.inserts, updated: 0, deleted: 0 }
      : (counts[there.indexOf(stage)] as Applied);
    tables.push(appliedChange(input, stage, applied, drifts[index] as Drift));
    if (pair.gone) {
      const making = { restored: pair.restored, qualified: made(pair.parts) };
      kept.push(await createdTable(session, making, pair.parts, pair.parts));
    } else {
      const inserted = await keepWritten(session, input.undo, stage);
      kept.push(undoTable(stage, { replaced: replaced.get(stage) ?? null, inserted }, applied));
    }
  }
  return { tables, undo: await undoData(session, input.undo, kept) };
}

/** What is to be done as production is now; how many rows that is beyond the plan. Throws PlanChanged: too many. */
async function settleStages(
  session: Connection,
  scratch: Scratch,
  input: ImportInput,
  stages: readonly Stage[],
  run: Run,
): Promise<Drift[]> {
  const drifts: Drift[] = [];
  for (const stage of stages) {
    const { table, gone } = stage.compared.pair;
    run.progress({ phase: `looking again at ${table}` });
    const allowed = input.drift - drifts.reduce((sum, { beyond }) => sum + beyond, 0);
    if (gone) drifts.push({ beyond: 0, crossed: 0 });
    else if (stage.rule === 'replace') drifts.push(await takeDrift(session, scratch, stage, allowed, run));
    else {
      const beyond = await settle(session, stage);
      if (beyond > allowed) throw tooMuchDrift(table, input.drift);
      drifts.push({ beyond, crossed: beyond });
    }
    if (!gone && stage.rule !== 'insert-missing') await markExchanged(session, stage);
  }
  return drifts;
}

function appliedChange(
  input: ImportInput,
  { compared: { pair, index } }: Stage,
  counts: Applied,
  drift: Drift,
): AppliedChange {
  const change = changeOf(input, index);
  const approved = change.inserts + change.updates + change.deletes;
  const done = counts.inserted + counts.updated + counts.deleted;
  const vanished = Math.max(0, approved + drift.beyond - drift.crossed - done);
  const created = pair.gone ? formatNameParts(pair.parts) : null;
  return { ...change, ...counts, vanished, drifted: drift.beyond, created };
}
