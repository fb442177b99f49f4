import type {
  ImportRecord,
  ImportResult,
  TableComparison,
  UndoPlanInput,
} from '../engines/contract/change.ts';
import { planDigest } from '../engines/plan-digest.ts';
import { ruleOf } from '../engines/rule-of.ts';
import type { StoredObject } from '../model/backup.ts';
import type { Check } from '../model/evidence.ts';
import type { PlanRule, UndoRule } from '../model/plan.ts';
import type { Run } from '../model/progress.ts';
import { openJournal } from '../repository/journal.ts';
import type { Repository } from '../repository/repository.ts';
import { openUndoStore, readImport } from '../repository/undo.ts';
import { requireUndo } from '../repository/undoable.ts';
import { markUndone, requireNotUndone } from '../repository/undone.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { undoPlanOf } from './plan.ts';
import type { Comparison } from './recovery-types.ts';
import { asActivity } from './run.ts';

/** As for an import. */
const LOCK_TIMEOUT_MS = 2 * 60_000;

/** Which import is taken back, and by which runbook. */
export interface UndoStepInput {
  database: string;
  /** workflow id of the runbook that imported */
  import: string;
  /** of the undo */
  workflowId: string;
}

export interface ApprovedUndo extends UndoStepInput {
  conflict: PlanRule;
  comparisons: TableComparison[];
  planDigest: string;
}

/** What can be said of an import before its undo is planned. */
export interface UndoFound {
  transaction: string;
  tables: string[];
  expiresAt: string;
}

/** Looks an import up and refuses what cannot be taken back: there is none, it is undone, its time is over. */
export async function findUndo(repository: Repository, input: UndoStepInput): Promise<UndoFound> {
  const record = await readImport(repository, input.database, input.import);
  const { tables, expiresAt } = requireUndo(input.import, record, new Date());
  await requireNotUndone(repository, input, record);
  return { transaction: record.transaction, tables: tables.map(({ table }) => table), expiresAt };
}

/** Taking an import back, on the host of the database. */
export const createUndoActivities = (deps: Dependencies) => {
  const readInput = async (repository: Repository, input: UndoStepInput) => {
    const record = await readImport(repository, input.database, input.import);
    requireUndo(input.import, record, new Date());
    return {
      production: await productionAccess(deps, input.database),
      record,
      read: (object: StoredObject, signal: AbortSignal) => repository.stream(object, signal),
    };
  };
  const planInput = async (
    repository: Repository,
    input: UndoStepInput,
    run: Run,
  ): Promise<UndoPlanInput> => {
    const { database, workflowId } = input;
    const prepared = await readInput(repository, input);
    const earlier = await requireNotUndone(repository, input, prepared.record);
    const { undoMs: retentionMs } = databaseOf(deps, database).retention;
    return {
      ...prepared,
      ...(earlier === undefined ? {} : { earlier }),
      undo: openUndoStore(repository, { database, workflowId, retentionMs }, run),
    };
  };

  return {
    /** Works out exactly what the undo would do, under every rule. Reads production only. */
    async planUndo(input: UndoStepInput & { conflict: PlanRule }): Promise<Comparison> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          const prepared = await planInput(repository, input, run);
          const comparisons = await databaseOf(deps, input.database).engine.planUndo(prepared, run);
          const plan = undoPlanOf({ ...input, record: prepared.record }, comparisons);
          return { plan: { ...plan, digest: planDigest(plan, comparisons) }, comparisons };
        }),
      );
    },

    /** Changes production, once, by the approved plan. */
    async undoImport(input: ApprovedUndo): Promise<ImportResult> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          const { database, comparisons } = input;
          const mark = async (result: ImportResult, committed: boolean) => {
            // One that found every row changed has taken nothing back: another decision still can.
            if (!result.tables.some((table) => table.inserted + table.updated + table.deleted > 0)) return;
            const { transaction } = result;
            await markUndone(repository, input, { transaction, committed, partial: leavesRows(input) });
          };
          const journal = openJournal(repository, database, input.workflowId);
          const change = {
            ...(await planInput(repository, input, run)),
            comparisons,
            planDigest: input.planDigest,
            journal: {
              ...journal,
              // Before the commit: whatever ends this runbook after it, no other does it again.
              write: async (record: ImportRecord) => {
                await mark(record.result, false);
                await journal.write(record);
              },
            },
            database,
            lockTimeoutMs: LOCK_TIMEOUT_MS,
            conflict: input.conflict as UndoRule,
          };
          const result = await databaseOf(deps, database).engine.undo(change, run);
          await mark(result, true);
          return result;
        }),
      );
    },

    /** Looks again: no row of the import is left as the import made it, save those that have to stay. */
    async verifyUndo(input: ApprovedUndo): Promise<Check[]> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          const { database, workflowId } = input;
          const { transaction } = await readImport(repository, database, workflowId);
          const conflict = input.conflict as UndoRule;
          const prepared = { ...(await readInput(repository, input)), transaction, conflict };
          return databaseOf(deps, database).engine.verifyUndo(prepared, run);
        }),
      );
    },
  };
};

/** Whether what was approved leaves rows as they are now. */
function leavesRows({ comparisons, conflict }: ApprovedUndo): boolean {
  return comparisons.some((comparison) => {
    const { change, keysSha256 } = ruleOf(comparison, conflict);
    const all = ruleOf(comparison, 'overwrite-changed');
    return change.orphans + change.uniqueClashes > 0 || keysSha256 !== all.keysSha256;
  });
}
