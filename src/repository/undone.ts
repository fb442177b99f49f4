import { HoldfastError } from '../model/failure.ts';
import { undoneKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** Left beside the undo data of an import that was taken back. */
interface Undone {
  /** the runbook that did it */
  by: string;
  at: string;
}

/** Throws InvalidInput where another runbook has taken this import back. */
export async function requireNotUndone(
  repository: Repository,
  undo: { database: string; import: string; workflowId: string },
): Promise<void> {
  const undone = await repository.getJson<Undone>(undoneKey(undo.database, undo.import));
  if (undone === null || undone.by === undo.workflowId) return;
  throw new HoldfastError(
    'InvalidInput',
    `the import of ${undo.import} was taken back already, by ${undone.by} at ${undone.at}`,
    { hint: `to have it again, take that back: holdfast undo ${undone.by}` },
  );
}

export async function markUndone(
  repository: Repository,
  undo: { database: string; import: string; workflowId: string },
): Promise<void> {
  const undone: Undone = { by: undo.workflowId, at: new Date().toISOString() };
  await repository.put(undoneKey(undo.database, undo.import), `${JSON.stringify(undone, null, 2)}\n`, {
    contentType: 'application/json',
  });
}
