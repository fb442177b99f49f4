import type { TableComparison } from '../src/engines/contract/change.ts';
import { CONFLICT_RULES, type TableChange } from '../src/model/plan.ts';

/** A comparison with the same effects under every rule. */
export function comparisonWith(change: TableChange, keysSha256 = 'x', keysFolder = '/keys'): TableComparison {
  return {
    table: change.table,
    rules: CONFLICT_RULES.map((conflict) => ({ conflict, change, keysSha256, refusal: null, notices: [] })),
    keysFolder,
    notices: [],
  };
}
