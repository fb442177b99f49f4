import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
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
import { checkFolder, type Sides } from '../compare/differences.ts';
import { preferIndexes } from '../compare/lookup.ts';
import { locateTables } from '../compare/rule.ts';
import { describePair, type TablePair } from '../compare/table-pair.ts';
import { withConnection } from '../connection.ts';
import { type Applied, applyStages } from './apply.ts';
import { copyBeside, createdTable } from './beside.ts';
import { type Changed, changeProduction, commitLocked } from './change.ts';
import type { Definition } from './definition.ts';
import { stageDrift } from './drift.ts';
import { importError } from './import-error.ts';
import { type DefinitionInput, readDefinition } from './recreate.ts';
import { locksOf } from './row-locks.ts';
import { advanceSequences } from './sequences.ts';
import { refuseCascades, type Settled, settle } from './settle.ts';
import { createStage, type Stage, stageApproved } from './stage.ts';
import { withTriggersOff } from './triggers.ts';
import { requireSameKey, requireSameTable } from './unchanged.ts';
import { keepUndo, undoData } from './undo-writer.ts';

/**
 * Changes production as it was approved: staged in temporary tables, then one transaction. Exactly once, whatever
 * is killed when: the transaction's id and its result are in the journal before the commit, and a later attempt
 * asks production what became of it, as a cancelled one does. What it replaces is kept before it is changed.
 * Throws PlanChanged (nothing was changed) where production has moved beyond the allowed drift or an approved row
 * cannot come back any more, LockNotAvailable where the tables are not had in time, CheckFailed, PermissionDenied.
 */
export async function importRows(input: ImportInput, run: Run): Promise<ImportResult> {
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
  const pairs: TablePair[] = [];
  for (const comparison of input.comparisons) {
    const pair = await describePair(sides.production, sides.restored, comparison.table);
    requireApproved(pair, comparison, input.conflict);
    pairs.push(pair);
  }
  if (input.conflict === 'side-by-side') {
    return copyBeside(
      sides,
      input,
      pairs.map(({ restored }) => restored),
      run,
    );
  }
  const gone = pairs.filter((pair) => pair.gone);
  const definition = gone.length === 0 ? null : await readDefinition(definitionInput(input, gone), run);
  const stages: Stage[] = [];
  for (const [index, pair] of pairs.entries()) {
    const comparison = input.comparisons[index] as TableComparison;
    const { change, keysSha256 } = ruleOf(comparison, input.conflict);
    const { key } = await checkFolder(pair.table, comparison.keysFolder, input.conflict, keysSha256);
    requireSameKey(pair, key);
    const stage = await createStage(sides.production, pair, input.conflict, index);
    await stageApproved(sides, stage, comparison.keysFolder, change, run);
    stages.push(stage);
  }
  const fresh = join(input.place.directory, 'import', randomUUID());
  const locks = await locksOf(sides.production, stages, input.drift);
  try {
    return await commitLocked(sides.production, input, locks, run, () =>
      changeTables(sides, input, { stages, definition, fresh }, run),
    );
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

function definitionInput(input: ImportInput, gone: readonly TablePair[]): DefinitionInput {
  const { production, restored } = locateTables(input);
  const tables = gone.map((pair) => formatNameParts([pair.restored.schema, pair.restored.name]));
  return { production, restored, tables, serverMajor: input.serverMajor };
}

interface Prepared {
  /** in the order of the comparisons */
  stages: readonly Stage[];
  /** of the tables that are to be made again */
  definition: Definition | null;
  /** a new folder */
  fresh: string;
}

/** Under the locks. */
async function changeTables(
  sides: Sides,
  input: ImportInput,
  { stages, definition, fresh }: Prepared,
  run: Run,
): Promise<Changed> {
  const client = sides.production;
  for (const { pair } of stages) await requireSameTable(client, pair);
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
  const there = stages.filter(({ pair }) => !pair.gone);
  await refuseCascades(client, there);
  const kept: UndoTable[] = [];
  for (const [index, stage] of stages.entries()) {
    if (stage.pair.gone) continue;
    run.progress({ phase: `keeping what ${stage.pair.table} holds` });
    const { keysFolder } = input.comparisons[index] as TableComparison;
    kept[index] = await keepUndo(client, input.undo, stage, settled[index] as Settled, { index, keysFolder });
  }
  run.progress({ phase: 'changing production' });
  for (const statement of definition?.before ?? []) await client.query(statement);
  const oids = there.map(({ pair }) => pair.production.oid);
  const applied = await withTriggersOff(client, oids, async () => {
    await client.query('SET CONSTRAINTS ALL DEFERRED');
    const counts = await applyStages(client, stages);
    for (const statement of definition?.after ?? []) await client.query(statement);
    // Now, not at the commit: what is written to the journal has to be able to commit.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    return counts;
  });
  for (const stage of there) await advanceSequences(sides, stage);
  for (const [index, { pair }] of stages.entries()) {
    if (!pair.gone) continue;
    const { restored } = pair;
    const inserted = applied[index]?.inserted ?? 0;
    kept[index] = await createdTable(client, restored, [restored.schema, restored.name], inserted);
  }
  const tables = stages.map((stage, index) =>
    appliedChange(input, stage, applied[index] as Applied, [drift[index] ?? 0, index]),
  );
  return { tables, undo: await undoData(client, input.undo, kept, applied) };
}

function appliedChange(
  input: ImportInput,
  { pair, rule, crossed }: Stage,
  counts: Applied,
  [drifted, index]: [number, number],
): AppliedChange {
  const { change } = ruleOf(input.comparisons[index] as TableComparison, input.conflict);
  const approved = change.inserts + change.updates + change.deletes;
  const beyond = rule === 'replace' ? drifted - crossed : 0;
  const vanished = Math.max(0, approved + beyond - counts.inserted - counts.updated - counts.deleted);
  const created = pair.gone ? formatNameParts([pair.restored.schema, pair.restored.name]) : null;
  return { ...change, ...counts, vanished, drifted, created };
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
    if (stage.pair.gone) {
      drift.push(0);
      continue;
    }
    const approved = (input.comparisons[index] as TableComparison).keysFolder;
    const folders = { approved, fresh: join(fresh, String(index)) };
    drift.push(await stageDrift(sides, stage, folders, input.drift - sum(drift), run));
  }
  if (sum(drift) > 0) {
    for (const { sql } of (await locksOf(sides.production, stages, input.drift)).rows)
      await sides.production.query(sql);
  }
  return drift;
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, number) => all + number, 0);
