import type { TableComparison } from '../engines/engine.ts';
import { ruleOf } from '../engines/rule-of.ts';
import {
  CONFLICT_RULES,
  type ConflictRule,
  type Plan,
  type RulePlan,
  summarizeChanges,
} from '../model/plan.ts';
import type { CompareStepInput } from './recovery-types.ts';

/** Measured on two cores with everything on loopback; a first word to a person, not a promise. */
const IMPORT_ROWS_PER_SECOND = 20_000;

/** What a person is asked to approve, without its digest. */
export function planOf(
  input: CompareStepInput,
  comparisons: readonly TableComparison[],
): Omit<Plan, 'digest'> {
  const rules = CONFLICT_RULES.map((conflict) => rulePlanOf(input.database, conflict, comparisons));
  const own = rules.find(({ conflict }) => conflict === input.conflict) as RulePlan;
  const { changes } = own;
  const sum = (pick: (change: Plan['changes'][number]) => number) =>
    changes.reduce((all, change) => all + pick(change), 0);
  const rows = sum(({ inserts, updates, deletes }) => inserts + updates + deletes);
  const left = sum(({ orphans, uniqueClashes }) => orphans + uniqueClashes);
  return {
    summary: own.summary,
    backup: input.base.backup,
    target: input.target,
    position: input.replayed.position,
    conflict: input.conflict,
    estimateSeconds: Math.ceil(2 + rows / IMPORT_ROWS_PER_SECOND),
    changes,
    rules,
    notices: [
      ...(own.refusal === null ? [] : [notPossible(own, rules)]),
      ...(own.refusal === null && rows + left === 0 ? [nothingToDo(input.conflict)] : []),
      ...input.base.notices,
      ...comparisons.flatMap((comparison) => comparison.notices),
      ...own.notices,
      ...input.doubts.map((check) => `${check.name} is ${check.verdict}: ${check.detail}`),
    ],
  };
}

function nothingToDo(conflict: ConflictRule): string {
  const same =
    conflict === 'insert-missing'
      ? 'nothing is missing: production has every row that these tables held at the target'
      : 'nothing differs that this rule would change';
  return `${same}. If rows were lost, recover to a moment before that`;
}

/** The rule that was asked for is no way: people have to name another, and which there are. */
function notPossible({ conflict, refusal }: RulePlan, rules: readonly RulePlan[]): string {
  const possible = rules.filter((rule) => rule.refusal === null).map((rule) => rule.conflict);
  return `${conflict} cannot be chosen: ${refusal}. An approval has to name another rule: ${possible.join(' or ')}`;
}

/** A rule over all tables; it cannot be chosen where one table cannot be imported by it. */
function rulePlanOf(
  database: string,
  conflict: ConflictRule,
  comparisons: readonly TableComparison[],
): RulePlan {
  const tables = comparisons.map((comparison) => ruleOf(comparison, conflict));
  const changes = tables.map(({ change }) => change);
  const refusals = new Set(tables.flatMap(({ refusal }) => refusal ?? []));
  return {
    conflict,
    summary: summarizeChanges(database, changes),
    changes,
    notices: tables.flatMap(({ notices }) => notices),
    refusal: refusals.size === 0 ? null : [...refusals].join('; '),
  };
}
