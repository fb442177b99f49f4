import { z } from 'zod';
import { PLAN_RULES } from './plan.ts';
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

/** Why a decision does not count, in words for people, or null when it does. */
export function refusalOf(
  decide: Decide,
  situation: {
    waitingFor: string | null;
    planDigest: string | null;
    requestedBy: string;
    policy: ApprovalPolicy;
    decisions: readonly DecisionRecord[];
  },
): string | null {
  const { waitingFor, planDigest, requestedBy, policy, decisions } = situation;
  if (waitingFor === null || planDigest === null) return 'the runbook is not waiting for a decision';
  if (decide.plan !== planDigest) {
    return `the plan has changed: the decision names ${decide.plan}, the plan to decide on is ${planDigest}`;
  }
  if (policy.approvers.length > 0 && !policy.approvers.some((name) => isSamePerson(name, decide.by))) {
    return `${decide.by} is not among the approvers (${policy.approvers.join(', ')})`;
  }
  if (decide.action === 'reject') return null;
  if (isSamePerson(decide.by, requestedBy) && !policy.requesterMayApprove) {
    return `${decide.by} requested this runbook and the policy wants another person`;
  }
  if (approvalsOf(planDigest, waitingFor, decisions).some((record) => isSamePerson(record.by, decide.by))) {
    return `${decide.by} has approved this plan already`;
  }
  return null;
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
