import { HoldfastError } from '../model/failure.ts';
import { type ConflictRule, countOf } from '../model/plan.ts';
import type { TableComparison } from './contract/change.ts';

/** Between a plan, its approval and the locks, tables themselves may change: then it is another plan. */
export function planChanged(what: string): HoldfastError {
  return new HoldfastError('PlanChanged', `production has changed since the plan was approved: ${what}`, {
    hint: 'nothing was changed; look at the new plan and approve that',
  });
}

/** `allowed`: rows beyond the plan that its approval allowed. */
export function tooMuchDrift(table: string, allowed: number): HoldfastError {
  return new HoldfastError(
    'PlanChanged',
    `production has changed since the plan was approved: rows beyond it would change in ${table}, and the approval allowed ${allowed === 0 ? 'none' : `${countOf(allowed, 'row')} only`}`,
    {
      hint: 'nothing was changed; look at the new plan and approve that, with more rows beyond it: --drift <rows>',
      reason: 'drift',
    },
  );
}

/** What a table is now. */
export interface TableNow {
  table: string;
  gone: boolean;
  refusals: Partial<Record<ConflictRule, HoldfastError>>;
  notices: readonly string[];
}

/**
 * Throws PlanChanged where a table came or went, cannot be changed under the rule any more, or would come back otherwise
 * than people were told; PermissionDenied where a right is missing.
 */
export function requireApproved(
  { table, gone, refusals, notices }: TableNow,
  comparison: TableComparison,
  conflict: ConflictRule,
): void {
  if (gone !== (comparison.gone === true)) {
    throw planChanged(`${table} ${gone ? 'is gone' : 'is there again'}`);
  }
  const refusal = refusals[conflict];
  if (refusal?.type === 'NotSupported') throw planChanged(refusal.message);
  if (refusal !== undefined) throw refusal;
  // A copy beside it does not care what the table looks like.
  if (conflict === 'side-by-side') return;
  const unsaid = notices.find((notice) => !comparison.notices.includes(notice));
  if (unsaid !== undefined) throw planChanged(unsaid);
}
