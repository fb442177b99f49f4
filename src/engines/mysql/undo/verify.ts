import type { Check } from '../../../model/evidence.ts';
import { countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { UndoVerifyInput } from '../../contract/change.ts';
import { judge } from './judge.ts';
import { withUndone } from './plan.ts';

/**
 * Engine.verifyUndo: rows that others have changed are not judged. What the undo wrote was compared with what it had to
 * write before its commit. Without a key equal rows may have been there before, and nothing is told. Throws what planUndo
 * throws.
 */
export async function verifyUndo(input: UndoVerifyInput, run: Run): Promise<Check[]> {
  return withUndone(input, 'verify undo', run, async (session, undone) => {
    const kept = await judge(session, undone, 'keep-changed', run);
    const approved = await judge(session, undone, input.conflict, run);
    return undone.data.tables.map(({ table }): Check => {
      const judged = kept.tables.find((one) => one.table.data.table === table);
      const { inserts = 0, updates = 0, deletes = 0 } = judged?.counts ?? {};
      const left = judged?.table.data.key === null ? 0 : inserts + updates + deletes;
      const isThere = approved.created.some((one) => one.drop && one.table.data.table === table);
      const wrong = [
        ...(left > 0 ? [`${countOf(left, 'row')} not taken back`] : []),
        ...(isThere ? ['the table that the import made is still there'] : []),
      ];
      return {
        name: `undo of ${table}`,
        verdict: wrong.length === 0 ? 'pass' : 'fail',
        detail: wrong.length === 0 ? 'nothing is left to take back' : wrong.join('; '),
      };
    });
  });
}
