import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import type { TableComparison } from '../../contract/change.ts';
import { describeIfThere } from '../compare/describe.ts';
import type { Relation } from '../compare/relation.ts';
import { keyNames, type TablePair } from '../compare/table-pair.ts';

/** Between a plan, its approval and the locks, tables themselves may change: then it is another plan. */
export function planChanged(what: string): HoldfastError {
  return new HoldfastError('PlanChanged', `production has changed since the plan was approved: ${what}`, {
    hint: 'nothing was changed; look at the new plan and approve that',
  });
}

/**
 * Throws PlanChanged where a table came or went, cannot be changed under the rule any more, or would come back
 * otherwise than people were told; PermissionDenied where a right is missing.
 */
export function requireApproved(pair: TablePair, comparison: TableComparison, conflict: ConflictRule): void {
  const { table } = pair;
  if (pair.gone !== (comparison.gone === true)) {
    throw planChanged(`${table} ${pair.gone ? 'is gone' : 'is there again'}`);
  }
  const refusal = pair.refusals[conflict];
  if (refusal?.type === 'NotSupported') throw planChanged(refusal.message);
  if (refusal !== undefined) throw refusal;
  // A copy beside it does not care what the table looks like.
  if (conflict === 'side-by-side') return;
  const unsaid = pair.notices.find((notice) => !comparison.notices.includes(notice));
  if (unsaid !== undefined) throw planChanged(unsaid);
}

export function requireSameKey(pair: TablePair, approved: readonly string[]): void {
  if (approved.join('\0') !== keyNames(pair).join('\0')) throw planChanged(`the key of ${pair.table}`);
}

/** Under the locks: throws PlanChanged where a table is not what it was when the change was prepared. */
export async function requireSameTable(client: pg.Client, pair: TablePair): Promise<void> {
  const now = await describeIfThere(client, pair.table);
  const isSame = now === null || pair.gone ? now === null && pair.gone : form(now) === form(pair.production);
  if (!isSame) throw planChanged(`${pair.table} has been altered`);
}

/** What the change depends on: rows and their number come and go. */
function form(relation: Relation): string {
  const { oid, source, columns, uniques, foreignKeys, referencedBy, rewrites, rowSecurityActive } = relation;
  return JSON.stringify([
    ...[oid, source, columns, uniques, foreignKeys, referencedBy, rewrites, rowSecurityActive],
  ]);
}
