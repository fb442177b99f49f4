import type { TableComparison } from '../engines/engine.ts';
import { type Plan, summarizeChanges } from '../model/plan.ts';
import type { CompareStepInput } from './recovery-types.ts';

/** Measured on two cores with everything on loopback; a first word to a person, not a promise. */
const IMPORT_ROWS_PER_SECOND = 20_000;

const NOTHING_MISSING =
  'nothing is missing: production has every row that these tables held at the target. If rows were lost, recover to a moment before that';

/** What a person is asked to approve, without its digest. */
export function planOf(
  input: CompareStepInput,
  comparisons: readonly TableComparison[],
): Omit<Plan, 'digest'> {
  const changes = comparisons.map((comparison) => comparison.change);
  const sum = (pick: (change: Plan['changes'][number]) => number) =>
    changes.reduce((all, change) => all + pick(change), 0);
  const rows = sum(({ inserts, updates, deletes }) => inserts + updates + deletes);
  const left = sum(({ orphans, uniqueClashes }) => orphans + uniqueClashes);
  return {
    summary: summarizeChanges(input.database, changes),
    backup: input.base.backup,
    target: input.target,
    position: input.replayed.position,
    conflict: input.conflict,
    estimateSeconds: Math.ceil(2 + rows / IMPORT_ROWS_PER_SECOND),
    changes,
    notices: [
      ...(rows + left === 0 ? [NOTHING_MISSING] : []),
      ...input.base.notices,
      ...comparisons.flatMap((comparison) => comparison.notices),
      ...input.doubts.map((check) => `${check.name} is ${check.verdict}: ${check.detail}`),
    ],
  };
}
