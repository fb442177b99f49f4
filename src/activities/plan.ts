import type { ImportRecord, TableComparison } from '../engines/contract/change.ts';
import { ruleOf } from '../engines/rule-of.ts';
import {
  CONFLICT_RULES,
  type ConflictRule,
  type Plan,
  type PlanRule,
  type RulePlan,
  summarizeChanges,
  type TableChange,
  UNDO_RULES,
} from '../model/plan.ts';
import type { CompareStepInput } from './recovery-types.ts';

/** Measured on two cores with everything on loopback; a first word to a person, not a promise. */
const IMPORT_ROWS_PER_SECOND = 20_000;

type Draft = Omit<Plan, 'digest'>;

/** What a person is asked to approve, without its digest. */
export function planOf(input: CompareStepInput, comparisons: readonly TableComparison[]): Draft {
  const { conflict } = input;
  const rules = CONFLICT_RULES.map((rule) => rulePlanOf(rule, comparisons, input.database));
  const own = rules.find((rule) => rule.conflict === conflict) as RulePlan;
  return {
    ...effectsOf(own, rules),
    backup: input.base.backup,
    target: input.target,
    position: input.replayed.position,
    notices: [
      ...firstNotice(own, rules, nothingToDo(conflict)),
      ...input.base.notices,
      ...(input.replayed.logNotices ?? []),
      ...comparisons.flatMap(({ notices }) => notices),
      ...own.notices,
      ...input.doubts.map((check) => `${check.name} is ${check.verdict}: ${check.detail}`),
    ],
  };
}

/** The same of an undo: what is left of an import, and what others have made of it since. */
export function undoPlanOf(
  input: { database: string; import: string; conflict: PlanRule; record: ImportRecord },
  comparisons: readonly TableComparison[],
): Draft {
  const rules = UNDO_RULES.map((rule) => rulePlanOf(rule, comparisons, input.database));
  const own = rules.find((rule) => rule.conflict === input.conflict) as RulePlan;
  return {
    ...effectsOf(own, rules),
    backup: null,
    target: null,
    position: `the import of ${input.import} in transaction ${input.record.transaction}`,
    notices: [
      ...firstNotice(own, rules, 'nothing is left that this rule would take back'),
      ...comparisons.flatMap(({ notices }) => notices),
      ...own.notices,
    ],
  };
}

function effectsOf(own: RulePlan, rules: RulePlan[]) {
  const rows = rowsOf(own.changes, ({ inserts, updates, deletes }) => inserts + updates + deletes);
  return {
    summary: own.summary,
    conflict: own.conflict,
    estimateSeconds: Math.ceil(2 + rows / IMPORT_ROWS_PER_SECOND),
    changes: own.changes,
    rules,
  };
}

/** What has to be read before anything else: the plan's own rule is no way, or has nothing to do. */
function firstNotice(own: RulePlan, rules: readonly RulePlan[], nothing: string): string[] {
  const { conflict, refusal } = own;
  if (refusal !== null) {
    const possible = rules.filter((rule) => rule.refusal === null).map((rule) => rule.conflict);
    const instead =
      possible.length === 0
        ? 'Nor can any other rule: reject this plan, mend that, and start again'
        : `An approval has to name another rule: ${possible.join(' or ')}`;
    return [`${conflict} cannot be chosen: ${refusal}. ${instead}`];
  }
  const rows = rowsOf(own.changes, (change) => {
    return change.inserts + change.updates + change.deletes + change.orphans + change.uniqueClashes;
  });
  return rows === 0 ? [nothing] : [];
}

function nothingToDo(conflict: ConflictRule): string {
  const same =
    conflict === 'insert-missing'
      ? 'nothing is missing: production has every row that these tables held at the target'
      : 'nothing differs that this rule would change';
  return `${same}. If rows were lost, recover to a moment before that`;
}

function rowsOf(changes: readonly TableChange[], count: (change: TableChange) => number): number {
  return changes.reduce((sum, change) => sum + count(change), 0);
}

/** A rule over all tables; it cannot be chosen where it is impossible for one of them. */
function rulePlanOf(conflict: PlanRule, comparisons: readonly TableComparison[], database: string): RulePlan {
  const tables = comparisons.map((comparison) => ruleOf(comparison, conflict));
  const changes = tables.map(({ change }) => change);
  const refusals = new Set(tables.flatMap(({ refusal }) => refusal ?? []));
  const isUndo = UNDO_RULES.some((rule) => rule === conflict);
  return {
    conflict,
    summary: summarizeChanges(database, changes, isUndo ? 'left alone' : 'cannot come back'),
    changes,
    notices: tables.flatMap(({ notices }) => notices),
    refusal: refusals.size === 0 ? null : [...refusals].join('; '),
  };
}
