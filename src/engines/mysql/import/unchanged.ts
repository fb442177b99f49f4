import type { ConflictRule } from '../../../model/plan.ts';
import type { TableComparison } from '../../contract/change.ts';
import type { TablePair } from '../compare/pair.ts';
import { describeTable, type Table } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { planChanged } from './import-error.ts';
import { MAKING } from './marker.ts';

/**
 * Throws PlanChanged where a table came or went, cannot be changed under the rule any more, or would come back otherwise
 * than people were told; PermissionDenied where a right is missing.
 */
export function requireApproved(pair: TablePair, comparison: TableComparison, conflict: ConflictRule): void {
  const { table } = pair;
  if (pair.gone !== (comparison.gone === true))
    throw planChanged(`${table} ${pair.gone ? 'is gone' : 'is there again'}`);
  const refusal = pair.refusals[conflict];
  if (refusal?.type === 'NotSupported') throw planChanged(refusal.message);
  if (refusal !== undefined) throw refusal;
  // A copy beside it does not care what the table looks like.
  if (conflict === 'side-by-side') return;
  const unsaid = pair.notices.find((notice) => !comparison.notices.includes(notice));
  if (unsaid !== undefined) throw planChanged(unsaid);
}

/** Under the locks: throws PlanChanged where a table is not what it was when the change was prepared. */
export async function requireSameTable(
  session: Connection,
  { table, parts, gone, production }: TablePair,
): Promise<void> {
  const now = await describeTable(session, parts);
  const isSame = now === null || gone ? now === null && gone : form(now) === form(production);
  if (!isSame) throw planChanged(`${table} has been altered`);
}

/** What the change depends on: rows and their number come and go, and tables that this import makes refer to it already. */
function form({ bytes: _, referencedBy, ...table }: Table): string {
  const others = referencedBy.filter(({ child }) => child[1]?.startsWith(MAKING) !== true);
  return JSON.stringify({ ...table, referencedBy: others });
}
