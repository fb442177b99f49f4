import type { ImportRecord, UndoData } from '../engines/contract/change.ts';
import { HoldfastError } from '../model/failure.ts';

/** What takes an import back. Throws InvalidInput where it changed nothing, or the time of its undo data is over. */
export function requireUndo(workflowId: string, { undo }: ImportRecord, now: Date): UndoData {
  if (undo === null) {
    throw new HoldfastError(
      'InvalidInput',
      `the import of ${workflowId} changed nothing: there is nothing to undo`,
      {
        hint: 'name the runbook whose import is to be taken back: holdfast list shows them',
      },
    );
  }
  if (Date.parse(undo.expiresAt) <= now.getTime()) {
    throw new HoldfastError('InvalidInput', `the undo data of ${workflowId} expired at ${undo.expiresAt}`, {
      hint: 'recover to the moment before the import instead: holdfast restore pitr (retention.undo says how long undo data is kept)',
    });
  }
  return undo;
}
