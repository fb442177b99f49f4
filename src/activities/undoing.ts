import type { ImportResult, TableComparison, UndoPlanInput } from '../engines/engine.ts';
import { planDigest } from '../engines/plan-digest.ts';
import { ruleOf } from '../engines/rule-of.ts';
import type { Check } from '../model/evidence.ts';
import { countOf, type PlanRule, type UndoRule } from '../model/plan.ts';
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

const LOCK_TIMEOUT_MS = 5_000;

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
  await requireNotUndone(repository, input);
  const { tables, expiresAt } = requireUndo(input.import, record, new Date());
  return { transaction: record.transaction, tables: tables.map(({ table }) => table), expiresAt };
}

/** Taking an import back, on the host of the database. */
export const createUndoActivities = (deps: Dependencies) => {
  const planInput = async (
    repository: Repository,
    input: UndoStepInput,
    run: Run,
  ): Promise<UndoPlanInput> => {
    const { database, workflowId } = input;
    const record = await readImport(repository, database, input.import);
    requireUndo(input.import, record, new Date());
    const { undoMs: retentionMs } = databaseOf(deps, database).retention;
    return {
      production: await productionAccess(deps, database),
      record,
      undo: openUndoStore(repository, { database, workflowId, retentionMs }, run),
      read: (object, signal) => repository.stream(object, signal),
    };
  };

  return {
    /** Works out exactly what the undo would do, under every rule. Reads production only. */
    async planUndo(input: UndoStepInput & { conflict: PlanRule }): Promise<Comparison> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          await requireNotUndone(repository, input);
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
          await requireNotUndone(repository, input);
          const change = {
            ...(await planInput(repository, input, run)),
            comparisons,
            planDigest: input.planDigest,
            journal: openJournal(repository, database, input.workflowId),
            database,
            lockTimeoutMs: LOCK_TIMEOUT_MS,
            conflict: input.conflict as UndoRule,
          };
          const result = await databaseOf(deps, database).engine.undo(change, run);
          // One that found every row changed has taken nothing back: another decision still can.
          if (result.tables.some((table) => table.inserted + table.updated + table.deleted > 0)) {
            await markUndone(repository, input);
          }
          return result;
        }),
      );
    },

    /** Looks again: no row of the import is left as the import made it, save those that have to stay. */
    async verifyUndo(input: ApprovedUndo): Promise<Check[]> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          const prepared = await planInput(repository, input, run);
          const left = await databaseOf(deps, input.database).engine.planUndo(prepared, run);
          return left.map((comparison): Check => {
            const { inserts, updates, deletes } = ruleOf(comparison, 'keep-changed').change;
            const undone = prepared.record.undo?.tables.find(({ table }) => table === comparison.table);
            // Without a key nothing tells whether a row that the import deleted is there again.
            const rows = undone?.key === null ? deletes : inserts + updates + deletes;
            return {
              name: `undo of ${comparison.table}`,
              verdict: rows === 0 ? 'pass' : 'fail',
              detail: rows === 0 ? 'nothing is left to take back' : `${countOf(rows, 'row')} not taken back`,
            };
          });
        }),
      );
    },
  };
};
