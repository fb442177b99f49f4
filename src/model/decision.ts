import { z } from 'zod';
import { PLAN_RULES, type Plan, type PlanRule, UNDO_RULES } from './plan.ts';
import type { DecisionRecord } from './runbook.ts';

/** Who may say yes to a plan. Durations in milliseconds. */
export interface ApprovalPolicy {
  /** how many different people have to approve; 0 means that the policy itself approves, in writing */
  people: number;
  requesterMayApprove: boolean;
  /** empty: anyone; otherwise only these names count */
  approvers: string[];
  timeLimitMs: number;
}

export const decideSchema = z.strictObject({
  by: z.string().trim().min(1).max(200),
  action: z.enum(['approve', 'reject']),
  plan: z.string().min(1),
  /** one of the plan's rules; left out: the plan's own */
  conflict: z.enum(PLAN_RULES).optional(),
  /** how many rows beyond the plan the import may touch, since production goes on; left out: none */
  drift: z.number().int().min(0).max(1_000_000_000).optional(),
  comment: z.string().max(2_000).optional(),
});
export type Decide = z.infer<typeof decideSchema>;

/** The signals `approve` and `reject`: the same without the action. */
export const decideSignalSchema = decideSchema.omit({ action: true });

/** Whether two names are of one person: what a client says is not more exact than this. */
export function isSamePerson(one: string, other: string): boolean {
  const fold = (name: string) => name.trim().normalize('NFKC').toLowerCase();
  return fold(one) === fold(other);
}

/** What of a plan a decision is judged by. */
export type PlanToDecide = Pick<Plan, 'digest' | 'conflict' | 'rules'>;

/** Why a decision does not count, in words for people, or null when it does. */
export function refusalOf(
  decide: Decide,
  situation: {
    waitingFor: string | null;
    plan: PlanToDecide | null;
    requestedBy: string;
    policy: ApprovalPolicy;
    decisions: readonly DecisionRecord[];
  },
): string | null {
  const { waitingFor, plan, requestedBy, policy, decisions } = situation;
  if (waitingFor === null || plan === null) return 'the runbook is not waiting for a decision';
  if (decide.plan !== plan.digest) {
    return `the plan has changed: the decision names ${decide.plan}, the plan to decide on is ${plan.digest}`;
  }
  if (policy.approvers.length > 0 && !policy.approvers.some((name) => isSamePerson(name, decide.by))) {
    return `${decide.by} is not among the approvers (${policy.approvers.join(', ')})`;
  }
  if (decide.action === 'reject') return null;
  if (isSamePerson(decide.by, requestedBy) && !policy.requesterMayApprove) {
    return `${decide.by} requested this runbook and the policy wants another person`;
  }
  const before = approvalsOf(plan.digest, waitingFor, decisions);
  if (before.some((record) => isSamePerson(record.by, decide.by))) {
    return `${decide.by} has approved this plan already`;
  }
  return ruleRefusal(plan, decide) ?? disagreement(plan, decide, before);
}

/** The rule that an approval means: the one that it names, or the plan's own. */
export function chosenRule(plan: PlanToDecide, { conflict }: Pick<Decide, 'conflict'>): PlanRule | null {
  return conflict ?? plan.conflict;
}

/** Why an approval cannot choose what it chooses, or null when it can. */
export function ruleRefusal(plan: PlanToDecide, decide: Pick<Decide, 'conflict' | 'drift'>): string | null {
  const chosen = chosenRule(plan, decide);
  if (chosen === null) return null;
  const possible = plan.rules.filter(({ refusal }) => refusal === null).map(({ conflict }) => conflict);
  const instead = possible.length === 0 ? 'no rule can be' : `possible: ${possible.join(', ')}`;
  const rule = plan.rules.find(({ conflict }) => conflict === chosen);
  if (rule === undefined) {
    return plan.rules.length === 0 && chosen === plan.conflict
      ? null
      : `the plan has no rule ${chosen}; ${instead}`;
  }
  if (rule.refusal !== null) return `${chosen} cannot be chosen: ${rule.refusal}; ${instead}`;
  const isUndo = (UNDO_RULES as readonly string[]).includes(chosen);
  return isUndo && (decide.drift ?? 0) > 0
    ? 'an undo touches no rows but those of its import: drift has no meaning for it'
    : null;
}

/** Several people approve one thing, not each their own. */
function disagreement(plan: PlanToDecide, decide: Decide, before: readonly DecisionRecord[]): string | null {
  const chosen = chosenRule(plan, decide);
  const other = before.find((record) => chosenRule(plan, record) !== chosen);
  return other === undefined
    ? null
    : `${other.by} has approved ${chosenRule(plan, other)}, not ${chosen}: approve the same, or reject`;
}

/** What the approvals of a plan come to: their one rule, and the drift that every one of them allows. */
export function choiceOf(
  plan: PlanToDecide,
  approvals: readonly Pick<DecisionRecord, 'conflict' | 'drift'>[],
): { conflict: PlanRule | null; drift: number } {
  const drifts = approvals.map(({ drift }) => drift ?? 0);
  return {
    conflict: chosenRule(plan, approvals[0] ?? {}),
    drift: drifts.length === 0 ? 0 : Math.min(...drifts),
  };
}

/** The approvals that count for a plan at a decision. */
export function approvalsOf(
  planDigest: string,
  name: string,
  decisions: readonly DecisionRecord[],
): DecisionRecord[] {
  return decisions.filter(
    (record) =>
      record.refused === undefined &&
      record.action === 'approve' &&
      record.plan === planDigest &&
      record.name === name,
  );
}
