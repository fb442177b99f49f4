import { ApplicationFailure, defineSignal, defineUpdate, log, setHandler } from '@temporalio/workflow';
import {
  type ApprovalPolicy,
  approvalsOf,
  choiceOf,
  chosenRule,
  type Decide,
  decideSchema,
  decideSignalSchema,
  isSamePerson,
  refusalOf,
  ruleRefusal,
} from '../../model/decision.ts';
import { DRILL_PERSON } from '../../model/drill.ts';
import { describeIssues } from '../../model/input.ts';
import { SIGNALS, UPDATES } from '../../model/message.ts';
import type { Plan, PlanRule } from '../../model/plan.ts';
import type { DecisionRecord, RunbookStatus } from '../../model/runbook.ts';
import { isDrill } from './drill.ts';
import { endWith } from './failure.ts';

const decideUpdate = defineUpdate<DecisionRecord, [Decide]>(UPDATES.decide);
const approveSignal = defineSignal<[unknown]>(SIGNALS.approve);
const rejectSignal = defineSignal<[unknown]>(SIGNALS.reject);

/** Before the configuration is known nothing is waited for, so that nobody can decide anything. */
const NOBODY: ApprovalPolicy = { people: 1, requesterMayApprove: false, approvers: [], timeLimitMs: 0 };

export interface DecisionHooks {
  /** a decision was recorded */
  changed: () => void;
  /** why nothing can be decided just now, though the runbook waits; null: it can */
  whyNotNow: () => string | null;
}

/** What people said of a runbook's plans, who may say it, and what it comes to. */
export class Decisions {
  readonly #status: RunbookStatus;
  readonly #hooks: DecisionHooks;
  #policy = NOBODY;
  /** decisions before this one were on plans that are void by now */
  #askedAt = 0;

  constructor(status: RunbookStatus, hooks: DecisionHooks) {
    this.#status = status;
    this.#hooks = hooks;
    setHandler(decideUpdate, (decide) => this.#record(decide), {
      validator: (decide) => {
        const parsed = decideSchema.safeParse(decide);
        const refusal = parsed.success ? this.#refusal(parsed.data) : describeIssues(parsed.error);
        if (refusal === null) return;
        log.warn('decision refused', { refusal });
        throw ApplicationFailure.nonRetryable(refusal, 'DecisionRefused');
      },
    });
    setHandler(approveSignal, (message) => this.#receive('approve', message));
    setHandler(rejectSignal, (message) => this.#receive('reject', message));
  }

  get policy(): ApprovalPolicy {
    return this.#policy;
  }

  adopt(policy: ApprovalPolicy): void {
    this.#policy = policy;
  }

  /** Refuses a policy that nobody can meet before anything is made. */
  requireMeetable(): void {
    const { people, approvers, requesterMayApprove } = this.#policy;
    const { requestedBy } = this.#status;
    const able = approvers.filter((name) => requesterMayApprove || !isSamePerson(name, requestedBy));
    if (approvers.length === 0 || able.length >= people) return;
    throw endWith({
      type: 'InvalidConfiguration',
      message: `the approval policy wants ${people} of ${approvers.join(', ')}, which cannot be met when ${requestedBy} requests`,
      hint: 'let another person request the runbook, or name more approvers in the configuration',
    });
  }

  /**
   * Shows a plan. What was said before does not count for it, not even of an equal plan. Throws where the policy
   * itself would have to approve a rule that cannot be chosen.
   */
  ask(name: string, plan: Plan): void {
    this.#status.plan = plan;
    const nobody = this.#policy.people === 0 && !isDrill();
    const refusal = nobody ? ruleRefusal(plan, {}) : null;
    if (refusal !== null) throw policyCannot(refusal);
    this.#status.waitingFor = name;
    this.#askedAt = this.#status.decisions.length;
    const { digest } = plan;
    // Before anybody could say anything: nothing is ever approved in a drill.
    if (isDrill()) this.#record({ by: DRILL_PERSON, action: 'reject', plan: digest, comment: 'drill' });
    if (nobody)
      this.#record({ by: 'policy', action: 'approve', plan: digest, comment: 'approval.people is 0' });
  }

  /** What the decisions on the plan that is shown come to; null: not yet enough. */
  verdict(): 'approved' | 'rejected' | null {
    const counted = this.#counted();
    if (counted.some(({ action }) => action === 'reject')) return 'rejected';
    return counted.length > 0 && counted.length >= this.#policy.people ? 'approved' : null;
  }

  /** What the approvals so far have chosen on the plan that is shown. */
  choice(): { conflict: PlanRule | null; drift: number } {
    const { plan, waitingFor } = this.#status;
    if (plan === null || waitingFor === null) return { conflict: null, drift: 0 };
    return choiceOf(plan, approvalsOf(plan.digest, waitingFor, this.#sinceAsked()));
  }

  /** Whose words counted. */
  deciders(): string[] {
    return this.#counted().map(({ by }) => by);
  }

  #counted(): DecisionRecord[] {
    return this.#sinceAsked().filter(({ refused }) => refused === undefined);
  }

  #sinceAsked(): DecisionRecord[] {
    return this.#status.decisions.slice(this.#askedAt);
  }

  /** A signal cannot be refused: one that does not count is recorded with the reason, and shown. */
  #receive(action: Decide['action'], message: unknown): void {
    const parsed = decideSignalSchema.safeParse(message);
    if (!parsed.success) {
      this.#record({ by: 'unknown', action, plan: 'unknown' }, describeIssues(parsed.error));
      return;
    }
    const decide: Decide = { ...parsed.data, action };
    this.#record(decide, this.#refusal(decide) ?? undefined);
  }

  #refusal(decide: Decide): string | null {
    const { waitingFor, plan, requestedBy } = this.#status;
    const notNow = waitingFor === null ? null : this.#hooks.whyNotNow();
    if (notNow !== null) return notNow;
    return refusalOf(decide, {
      waitingFor,
      plan,
      requestedBy,
      policy: this.#policy,
      decisions: this.#sinceAsked(),
    });
  }

  #record(decide: Decide, refused?: string): DecisionRecord {
    const { plan } = this.#status;
    const counts = decide.action === 'approve' && refused === undefined && plan !== null;
    const conflict = counts ? chosenRule(plan, decide) : decide.conflict;
    const record: DecisionRecord = {
      name: this.#status.waitingFor ?? 'none',
      by: decide.by,
      identity: null,
      action: decide.action,
      at: new Date().toISOString(),
      plan: decide.plan,
      ...(conflict === undefined || conflict === null ? {} : { conflict }),
      ...(decide.drift === undefined ? {} : { drift: decide.drift }),
      ...(decide.comment === undefined ? {} : { comment: decide.comment }),
      ...(refused === undefined ? {} : { refused }),
    };
    this.#status.decisions.push(record);
    this.#hooks.changed();
    return record;
  }
}

function policyCannot(refusal: string) {
  return endWith({
    type: 'DecisionRefused',
    message: `nobody is asked (approval.people is 0), and the policy approves only the rule that was asked for: ${refusal}`,
    hint: 'nothing was changed; start again with a rule that is possible, or let people decide: approval.people in the configuration',
  });
}
