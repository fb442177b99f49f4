import type { PlanRule } from '../model/plan.ts';
import type { RuleComparison, TableComparison } from './contract/change.ts';

/** What a comparison says of one rule. It has every rule of its kind. */
export function ruleOf({ table, rules }: TableComparison, conflict: PlanRule): RuleComparison {
  const found = rules.find((rule) => rule.conflict === conflict);
  if (found === undefined) throw new Error(`the comparison of ${table} has no rule ${conflict}`);
  return found;
}
