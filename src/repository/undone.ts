import type { ImportRecord } from '../engines/contract/change.ts';
import { HoldfastError } from '../model/failure.ts';
import { undoneKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** Left beside the undo data of an import that was taken back, before the commit of that and again after it. */
interface Undone {
  /** the runbook that did it, and its transaction in production */
  by: string;
  transaction: string;
  at: string;
  /** false: production has to say whether it did */
  committed: boolean;
  /** it left rows as they were, for others had changed them or something depends on them */
  partial: boolean;
}

/** Which import is, or was, taken back, and by which runbook. */
interface Undoing {
  database: string;
  import: string;
  workflowId: string;
}

/**
 * Throws InvalidInput where another runbook has taken this import back. Where it left rows, the rest can still be:
 * a row with a key that is as it was already is found to be so. Returns an undo of which only production can say
 * whether it committed.
 */
export async function requireNotUndone(
  repository: Repository,
  undo: Undoing,
  record: ImportRecord,
): Promise<Pick<Undone, 'by' | 'transaction'> | undefined> {
  const undone = await repository.getJson<Undone>(undoneKey(undo.database, undo.import));
  if (undone === null || undone.by === undo.workflowId) return undefined;
  const keyless = record.undo?.tables.find(({ created, key }) => created === null && key === null);
  if (undone.partial && keyless === undefined) return undefined;
  const { by, transaction, at } = undone;
  if (undone.committed === false) return { by, transaction };
  const rest =
    undone.partial && keyless !== undefined
      ? `; what that left stays, since ${keyless.table} has no key to tell what is back already`
      : '';
  throw new HoldfastError(
    'InvalidInput',
    `the import of ${undo.import} was taken back already, by ${by} at ${at}${rest}`,
    { hint: `to have it again, take that back: holdfast undo ${by}` },
  );
}

export async function markUndone(
  repository: Repository,
  undo: Undoing,
  mark: Pick<Undone, 'transaction' | 'committed' | 'partial'>,
): Promise<void> {
  const undone: Undone = { by: undo.workflowId, at: new Date().toISOString(), ...mark };
  await repository.put(undoneKey(undo.database, undo.import), `${JSON.stringify(undone, null, 2)}\n`, {
    contentType: 'application/json',
  });
}
