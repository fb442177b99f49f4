import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { AppliedChange, ImportInput, ImportResult, TableComparison, UndoTable } from '../../engine.ts';
import { ruleOf } from '../../rule-of.ts';
import { checkFolder, type Sides } from '../compare/differences.ts';
import { preferIndexes } from '../compare/lookup.ts';
import { locateTables, requireSupported } from '../compare/rule.ts';
import { describePair, keyNames, requireRule, type TablePair } from '../compare/table-pair.ts';
import { withConnection } from '../connection.ts';
import { applyStages } from './apply.ts';
import { type Changed, changeProduction, commitLocked } from './change.ts';
import { stageDrift, tooMuchDrift } from './drift.ts';
import { importError } from './import-error.ts';
import { locksOf } from './row-locks.ts';
import { advanceSequences } from './sequences.ts';
import { refuseCascades, type Settled, settle } from './settle.ts';
import { createStage, type Stage, stageApproved } from './stage.ts';
import { withTriggersOff } from './triggers.ts';
import { keepUndo, undoData } from './undo-writer.ts';

/**
 * Changes production as it was approved: staged in temporary tables, then one transaction. Exactly once, whatever
 * is killed when: the transaction's id and its result are in the journal before the commit, and a later attempt
 * asks production what became of it, as a cancelled one does. What it replaces is kept before it is changed.
 * Throws PlanChanged (nothing was changed) where production has moved beyond the allowed drift or an approved row
 * cannot come back any more, LockNotAvailable where the tables are not had in time, CheckFailed, PermissionDenied.
 */
export async function importRows(input: ImportInput, run: Run): Promise<ImportResult> {
  requireSupported(input.conflict);
  const { production, restored } = locateTables(input);
  const options = { applicationName: 'import', signal: run.signal, lockTimeoutMs: input.lockTimeoutMs };
  return changeProduction(production, input, run, (live) =>
    withConnection(restored, { ...options, readOnly: true }, (copy) =>
      // Here, before an error of production is told as one of the restored copy.
      importInto({ production: live, restored: copy }, input, run).catch((error: unknown) => {
        throw importError(error);
      }),
    ),
  );
}

async function importInto(sides: Sides, input: ImportInput, run: Run): Promise<ImportResult> {
  await preferIndexes(sides.restored, true);
  const stages: Stage[] = [];
  for (const comparison of input.comparisons) {
    const pair = await describePair(sides.production, sides.restored, comparison.table);
    const { change, keysSha256 } = ruleOf(comparison, input.conflict);
    requireRule(pair, input.conflict);
    const { key } = await checkFolder(pair.table, comparison.keysFolder, input.conflict, keysSha256);
    refuseOtherKey(pair, key);
    const stage = await createStage(sides.production, pair, input.conflict, stages.length);
    await stageApproved(sides, stage, comparison.keysFolder, change, run);
    stages.push(stage);
  }
  const fresh = join(input.place.directory, 'import', randomUUID());
  const locks = await locksOf(sides.production, stages);
  try {
    return await commitLocked(sides.production, input, locks, run, () =>
      changeTables(sides, input, stages, fresh, run),
    );
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Under the locks. */
async function changeTables(
  sides: Sides,
  input: ImportInput,
  stages: readonly Stage[],
  fresh: string,
  run: Run,
): Promise<Changed> {
  const client = sides.production;
  const drift = await takeDrift(sides, input, stages, fresh, run);
  const settled: Settled[] = [];
  for (const [index, stage] of stages.entries()) {
    run.progress({ phase: `looking again at ${stage.pair.table}` });
    const found = await settle(client, stage);
    settled.push(found);
    if (stage.rule === 'replace') continue;
    drift[index] = (drift[index] ?? 0) + found.revived;
    if (sum(drift) > input.drift) throw tooMuchDrift(stage.pair.table, input.drift);
  }
  await refuseCascades(client, stages);
  const kept: UndoTable[] = [];
  for (const [index, stage] of stages.entries()) {
    run.progress({ phase: `keeping what ${stage.pair.table} holds` });
    kept.push(await keepUndo(client, input.undo, stage, settled[index] as Settled, index));
  }
  run.progress({ phase: 'changing production' });
  const oids = stages.map(({ pair }) => pair.production.oid);
  const applied = await withTriggersOff(client, oids, async () => {
    await client.query('SET CONSTRAINTS ALL DEFERRED');
    const counts = await applyStages(client, stages);
    // Now, not at the commit: what is written to the journal has to be able to commit.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    return counts;
  });
  for (const stage of stages) await advanceSequences(sides, stage);
  const tables = input.comparisons.map((comparison, index): AppliedChange => {
    const { change } = ruleOf(comparison, input.conflict);
    const counts = applied[index] as (typeof applied)[number];
    const approved = change.inserts + change.updates + change.deletes;
    const drifted = drift[index] ?? 0;
    const beyond = stages[index]?.rule === 'replace' ? drifted : 0;
    const vanished = Math.max(0, approved + beyond - counts.inserted - counts.updated - counts.deleted);
    return { ...change, ...counts, vanished, drifted, created: null };
  });
  return { tables, undo: await undoData(client, input.undo, kept, applied) };
}

/** Under `replace` the table becomes the restored copy: what has changed since counts, and is locked as the rest. */
async function takeDrift(
  sides: Sides,
  input: ImportInput,
  stages: readonly Stage[],
  fresh: string,
  run: Run,
): Promise<number[]> {
  if (input.conflict !== 'replace') return stages.map(() => 0);
  const drift: number[] = [];
  for (const [index, stage] of stages.entries()) {
    const approved = (input.comparisons[index] as TableComparison).keysFolder;
    const folders = { approved, fresh: join(fresh, String(index)) };
    drift.push(await stageDrift(sides, stage, folders, input.drift - sum(drift), run));
  }
  if (sum(drift) > 0) {
    for (const { sql } of (await locksOf(sides.production, stages)).rows) await sides.production.query(sql);
  }
  return drift;
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, number) => all + number, 0);

function refuseOtherKey(pair: TablePair, key: readonly string[]): void {
  if (key.join('\0') === keyNames(pair).join('\0')) return;
  throw new HoldfastError('PlanChanged', `the key of ${pair.table} has changed since the plan was approved`, {
    hint: 'nothing was changed; look at the new plan and approve that',
  });
}
