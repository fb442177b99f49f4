import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../../model/attribute.ts';
import {
  type ApprovalPolicy,
  approvalsOf,
  type Decide,
  decideSchema,
  decideSignalSchema,
  isSamePerson,
  refusalOf,
} from '../../model/decision.ts';
import { formatDuration } from '../../model/duration.ts';
import type { EngineKind } from '../../model/engine.ts';
import { describeIssues } from '../../model/input.ts';
import { QUERIES, SIGNALS, UPDATES } from '../../model/message.ts';
import type { Plan } from '../../model/plan.ts';
import type { DecisionRecord, Outcome, RunbookStatus, Step, StepState } from '../../model/runbook.ts';
import { detailsOf } from './details.ts';
import { endWith, type Failure, failureOf, parks, textOf } from './failure.ts';

const statusQuery = defineQuery<RunbookStatus>(QUERIES.status);
const decideUpdate = defineUpdate<DecisionRecord, [Decide]>(UPDATES.decide);
const approveSignal = defineSignal<[unknown]>(SIGNALS.approve);
const rejectSignal = defineSignal<[unknown]>(SIGNALS.reject);
const resumeSignal = defineSignal(SIGNALS.resume);

/** What a runbook ends with when nothing went wrong. */
export type Ending = Extract<Outcome, 'completed' | 'rejected' | 'expired'>;

export interface RunbookLimits {
  approval: ApprovalPolicy;
  parkLimitMs: number;
  /** a step that found no worker tries again this often while it is parked */
  noWorkerRetryMs: number;
}

/**
 * The visible state of a running runbook, and the rules all runbooks share: steps, parking, decisions,
 * clean-up. The workflow beside it reads like the runbook; this reads like its clipboard.
 */
export class Runbook {
  readonly status: RunbookStatus;
  #limits: RunbookLimits | null = null;
  #resumed = false;
  /** cleaning up: nothing parks any more */
  #closing = false;
  #cleanups: (() => Promise<void>)[] = [];
  /** steps whose time is people's, not the recovery's */
  readonly #waits = new Set<string>();
  /** decisions before this one were on plans that are void by now */
  #askedAt = 0;

  constructor(options: {
    runbook: string;
    database: string;
    reason: string;
    requestedBy: string;
    steps: readonly string[];
  }) {
    this.status = {
      workflowId: workflowInfo().workflowId,
      runbook: options.runbook,
      database: options.database,
      reason: options.reason,
      requestedBy: options.requestedBy,
      outcome: 'running',
      steps: options.steps.map((name) => ({
        name,
        state: 'pending',
        startedAt: null,
        finishedAt: null,
        detail: null,
      })),
      plan: null,
      waitingFor: null,
      decisions: [],
      instance: null,
      evidence: null,
      message: null,
    };
    this.#listen();
    upsertSearchAttributes({
      [SEARCH_ATTRIBUTES.database]: [options.database],
      [SEARCH_ATTRIBUTES.runbook]: [options.runbook],
      [SEARCH_ATTRIBUTES.outcome]: ['running'],
    });
    this.publish();
  }

  /** Called once the configuration is known. Refuses a policy that nobody can meet before anything is made. */
  begin(engine: EngineKind, limits: RunbookLimits): void {
    this.#limits = limits;
    upsertSearchAttributes({ [SEARCH_ATTRIBUTES.engine]: [engine] });
    const { approval } = limits;
    const able = approval.approvers.filter(
      (name) => approval.requesterMayApprove || !isSamePerson(name, this.status.requestedBy),
    );
    if (approval.approvers.length > 0 && able.length < approval.people) {
      throw endWith({
        type: 'InvalidConfiguration',
        message: `the approval policy wants ${approval.people} of ${approval.approvers.join(', ')}, which cannot be met when ${this.status.requestedBy} requests`,
        hint: 'let another person request the runbook, or name more approvers in the configuration',
      });
    }
  }

  /** Runs a step; what an operator can mend parks it, as long as there is an instance that would be lost. */
  async step<T>(name: string, work: () => Promise<T>, describe?: (result: T) => string): Promise<T> {
    const parkedSince: { at: number | null } = { at: null };
    for (;;) {
      this.#mark(name, 'running');
      try {
        const result = await work();
        this.#mark(name, 'done', describe?.(result));
        return result;
      } catch (error) {
        const failure = failureOf(error);
        if (isCancellation(error) || this.#closing || this.status.instance === null || !parks(failure)) {
          this.#mark(name, 'failed', failure.message);
          throw error;
        }
        await this.#park(name, failure, error, parkedSince);
      }
    }
  }

  /** What people should know while the runbook goes on; null takes it back. */
  explain(text: string | null): void {
    this.status.message = text;
    this.publish();
  }

  skip(name: string, why: string): void {
    this.#mark(name, 'skipped', why);
  }

  /** Registered before the step that makes what it cleans; run last first, whatever happened. */
  cleanUpWith(work: () => Promise<void>): void {
    this.#cleanups.push(work);
  }

  /**
   * Shows the plan and stops until people, or the policy, have decided on exactly this plan, now: what was said
   * before it was shown does not count, not even of an equal plan.
   */
  async decide(name: string, plan: Plan): Promise<'approved' | 'rejected' | 'expired'> {
    const { approval } = this.#needLimits();
    this.status.plan = plan;
    this.status.waitingFor = name;
    this.#askedAt = this.status.decisions.length;
    if (approval.people === 0) {
      this.#record({ by: 'policy', action: 'approve', plan: plan.digest, comment: 'approval.people is 0' });
    }
    this.#setOutcome('waiting-for-decision');
    this.#mark(name, 'waiting', `plan ${plan.digest}; ends in ${formatDuration(approval.timeLimitMs)}`);
    const verdict = () => this.#verdict(name, plan.digest);
    try {
      await condition(() => verdict() !== null, approval.timeLimitMs, { summary: `time limit of ${name}` });
    } catch (error) {
      this.#mark(name, 'failed', 'cancelled');
      throw error;
    } finally {
      this.status.waitingFor = null;
      this.#setOutcome('running');
    }
    const decided = verdict() ?? 'expired';
    const people = this.#decisionsNow().filter((record) => record.refused === undefined);
    const by = people.map((record) => record.by).join(', ');
    this.#mark(name, decided === 'approved' ? 'done' : 'failed', by === '' ? decided : `${decided} by ${by}`);
    return decided;
  }

  /** Shows a step as waiting for a while: the hand-over of an instance. */
  async wait(name: string, milliseconds: number, detail: string): Promise<void> {
    this.#mark(name, 'waiting', detail);
    this.#resumed = false;
    try {
      await condition(() => this.#resumed, milliseconds, { summary: name });
    } catch (error) {
      this.#mark(name, 'failed', 'cancelled');
      throw error;
    }
    this.#mark(name, 'done');
  }

  /**
   * Runs the whole runbook: the work, then the clean-ups and the evidence whatever happened. Ends the workflow
   * with the status, a failure of a listed type, or the cancellation.
   */
  async run(work: () => Promise<Ending>, leaveEvidence: () => Promise<string>): Promise<RunbookStatus> {
    let ending: Outcome = 'failed';
    let problem: unknown = null;
    try {
      ending = await work();
    } catch (error) {
      problem = error;
      ending = isCancellation(error) ? 'cancelled' : 'failed';
      this.status.message = ending === 'failed' ? textOf(failureOf(error)) : null;
    }
    this.#closing = true;
    await CancellationScope.nonCancellable(async () => {
      for (const cleanUp of this.#cleanups.reverse()) await this.#attempt(cleanUp);
      for (const step of this.status.steps) if (step.state === 'pending') step.state = 'skipped';
      this.status.outcome = ending;
      await this.#attempt(async () => {
        this.status.evidence = await leaveEvidence();
      });
      this.#setOutcome(ending);
      await condition(allHandlersFinished);
    });
    if (ending === 'cancelled') throw problem;
    if (problem !== null) throw endWith(failureOf(problem));
    return this.status;
  }

  publish(): void {
    setCurrentDetails(detailsOf(this.status));
  }

  /** Seconds spent in steps, without the time that people took. */
  recoverySeconds(): number {
    const spans = this.status.steps
      .filter((step) => step.startedAt !== null && step.finishedAt !== null && !this.#waits.has(step.name))
      .map((step) => Date.parse(step.finishedAt as string) - Date.parse(step.startedAt as string));
    return spans.reduce((sum, span) => sum + span, 0) / 1_000;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const failure = failureOf(error);
      log.error('clean-up failed; the reaper will try again', {
        type: failure.type,
        reason: failure.message,
      });
      this.status.message = [this.status.message, `clean-up failed: ${textOf(failure)}`]
        .filter((line) => line !== null)
        .join('\n');
    }
  }

  async #park(name: string, failure: Failure, error: unknown, since: { at: number | null }): Promise<void> {
    const { parkLimitMs, noWorkerRetryMs } = this.#needLimits();
    since.at ??= Date.now();
    const left = since.at + parkLimitMs - Date.now();
    if (left <= 0) {
      this.#mark(name, 'failed', failure.message);
      throw error;
    }
    this.status.message = textOf(failure);
    this.#resumed = false;
    this.#setOutcome('parked');
    this.#mark(name, 'parked', `${failure.message}; signal resume when it is mended`);
    await condition(
      () => this.#resumed,
      failure.type === 'NoWorker' ? Math.min(noWorkerRetryMs, left) : left,
    );
    if (!this.#resumed && failure.type !== 'NoWorker') {
      this.#mark(name, 'failed', failure.message);
      throw error;
    }
    this.status.message = null;
    this.#setOutcome('running');
  }

  #listen(): void {
    setHandler(statusQuery, () => this.status);
    setHandler(resumeSignal, () => {
      this.#resumed = true;
    });
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
    return refusalOf(decide, {
      waitingFor: this.status.waitingFor,
      planDigest: this.status.plan?.digest ?? null,
      requestedBy: this.status.requestedBy,
      policy: this.#needLimits().approval,
      decisions: this.#decisionsNow(),
    });
  }

  #record(decide: Decide, refused?: string): DecisionRecord {
    const record: DecisionRecord = {
      name: this.status.waitingFor ?? 'none',
      by: decide.by,
      identity: null,
      action: decide.action,
      at: new Date().toISOString(),
      plan: decide.plan,
      ...(decide.comment === undefined ? {} : { comment: decide.comment }),
      ...(refused === undefined ? {} : { refused }),
    };
    this.status.decisions.push(record);
    this.publish();
    return record;
  }

  #decisionsNow(): DecisionRecord[] {
    return this.status.decisions.slice(this.#askedAt);
  }

  #verdict(name: string, digest: string): 'approved' | 'rejected' | null {
    const counted = this.#decisionsNow().filter(
      (record) => record.name === name && record.plan === digest && record.refused === undefined,
    );
    if (counted.some((record) => record.action === 'reject')) return 'rejected';
    const { people } = this.#needLimits().approval;
    return approvalsOf(digest, name, counted).length >= Math.max(people, 1) ? 'approved' : null;
  }

  #mark(name: string, state: StepState, detail?: string): void {
    let step = this.status.steps.find((candidate) => candidate.name === name);
    if (step === undefined) {
      step = { name, state, startedAt: null, finishedAt: null, detail: null } satisfies Step;
      this.status.steps.push(step);
    }
    const now = new Date().toISOString();
    if (state === 'waiting') this.#waits.add(name);
    const again = state === 'running' && (step.state === 'done' || step.state === 'failed');
    if (state !== 'skipped') step.startedAt = again ? now : (step.startedAt ?? now);
    step.finishedAt = state === 'done' || state === 'failed' ? now : null;
    step.state = state;
    if (detail !== undefined || state === 'running') step.detail = detail ?? null;
    this.publish();
  }

  #setOutcome(outcome: Outcome): void {
    this.status.outcome = outcome;
    upsertSearchAttributes({ [SEARCH_ATTRIBUTES.outcome]: [outcome] });
    this.publish();
  }

  #needLimits(): RunbookLimits {
    return (
      this.#limits ?? {
        approval: { people: 1, requesterMayApprove: false, approvers: [], timeLimitMs: 0 },
        parkLimitMs: 0,
        noWorkerRetryMs: 0,
      }
    );
  }
}
