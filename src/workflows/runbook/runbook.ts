import {
  allHandlersFinished,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Base } from '../../activities/recovery-types.ts';
import type { Alert } from '../../model/alert.ts';
import { SEARCH_ATTRIBUTES } from '../../model/attribute.ts';
import type { ApprovalPolicy } from '../../model/decision.ts';
import { formatDuration } from '../../model/duration.ts';
import type { EngineKind } from '../../model/engine.ts';
import type { FailureType } from '../../model/failure.ts';
import { QUERIES, SIGNALS } from '../../model/message.ts';
import { countOf, type Plan, type PlanRule } from '../../model/plan.ts';
import type { Outcome, RunbookStatus } from '../../model/runbook.ts';
import type { Target } from '../../model/target.ts';
import { raise } from '../alerts.ts';
import { decisionAlert, failureAlert, parkedAlert } from './alerts.ts';
import { Decisions } from './decisions.ts';
import { detailsOf } from './details.ts';
import { isDrill } from './drill.ts';
import { endWith, type Failure, failureOf, parks, textOf } from './failure.ts';
import { type Aim, Retargets } from './retarget.ts';
import { Steps, stepOf } from './steps.ts';

const statusQuery = defineQuery<RunbookStatus>(QUERIES.status);
const resumeSignal = defineSignal(SIGNALS.resume);

/** What a runbook ends with when nothing went wrong. */
export type Ending = Extract<Outcome, 'completed' | 'rejected' | 'expired'>;

/** What came of a decision; an approval with the one rule and the drift that all who approved agreed on. */
export type Decided =
  | { verdict: 'approved'; conflict: PlanRule | null; drift: number }
  | { verdict: 'rejected' | 'expired' | 'retargeted' };

export interface RunbookLimits {
  approval: ApprovalPolicy;
  /** people, or the policy, will be asked for a decision */
  asks: boolean;
  parkLimitMs: number;
  /** how long before a decision expires people are reminded; null: nobody is told of anything */
  remindMs: number | null;
  /** a step that found no worker tries again this often while it is parked */
  noWorkerRetryMs: number;
}

/**
 * The visible state of a running runbook, and the rules all runbooks share: steps, parking, decisions,
 * clean-up. The workflow beside it reads like the runbook; this reads like its clipboard.
 */
export class Runbook {
  readonly status: RunbookStatus;
  readonly #steps: Steps;
  readonly #decisions: Decisions;
  #limits: Pick<RunbookLimits, 'parkLimitMs' | 'noWorkerRetryMs' | 'remindMs'> = {
    ...{ parkLimitMs: 0, noWorkerRetryMs: 0, remindMs: null },
  };
  #resumed = false;
  readonly #parks: 'always' | 'never' | 'with an instance';
  /** cleaning up: nothing parks any more */
  #closing = false;
  #cleanups: (() => Promise<void>)[] = [];
  readonly #retargets: Retargets;
  /** handing over: a person may name another target */
  #handingOver = false;
  /** why the target cannot be changed any more; null: it can, where people are asked */
  #fixed: string | null = null;

  constructor(options: {
    runbook: string;
    database: string;
    reason: string;
    requestedBy: string;
    steps: readonly string[];
    /** chooses the base of another target; left out: the runbook has none that could change */
    choose?: (target: Target) => Promise<Base>;
    /** whether a step that an operator can mend waits for it; default: where there is an instance that would be lost */
    parks?: 'always' | 'never';
  }) {
    this.#parks = isDrill() ? 'never' : (options.parks ?? 'with an instance');
    this.status = {
      workflowId: workflowInfo().workflowId,
      runbook: options.runbook,
      database: options.database,
      reason: options.reason,
      requestedBy: options.requestedBy,
      outcome: 'running',
      steps: options.steps.map(stepOf),
      plan: null,
      waitingFor: null,
      decisions: [],
      instance: null,
      evidence: null,
      message: null,
    };
    this.#steps = new Steps(this.status, () => this.publish());
    this.#decisions = new Decisions(this.status, {
      changed: () => this.publish(),
      whyNotNow: () => this.#retargets.whyNotNow(),
    });
    this.#retargets = new Retargets(options.choose ?? null, () => this.#whyNoRetarget());
    setHandler(statusQuery, () => this.status);
    setHandler(resumeSignal, () => {
      this.#resumed = true;
    });
    upsertSearchAttributes({
      [SEARCH_ATTRIBUTES.database]: [options.database],
      [SEARCH_ATTRIBUTES.runbook]: [options.runbook],
      [SEARCH_ATTRIBUTES.outcome]: ['running'],
    });
    this.publish();
  }

  /** Called once the configuration is known. Refuses a policy that nobody can meet before anything is made. */
  begin(engine: EngineKind, { approval, asks, ...limits }: RunbookLimits): void {
    this.#limits = limits;
    upsertSearchAttributes({ [SEARCH_ATTRIBUTES.engine]: [engine] });
    this.#decisions.adopt(approval);
    if (asks) this.#decisions.requireMeetable();
  }

  /**
   * Runs a step; what an operator can mend parks it, as long as there is something that would be lost. The work may
   * `say` how far it is. `mendable`: what can be mended in this step alone.
   */
  async step<T>(
    name: string,
    work: (say: (detail: string) => void) => Promise<T>,
    describe?: (result: T) => string,
    mendable: readonly FailureType[] = [],
  ): Promise<T> {
    const parkedSince: { at: number | null } = { at: null };
    for (;;) {
      this.#steps.mark(name, 'running');
      try {
        const result = await work((detail) => this.#steps.mark(name, 'running', detail));
        this.#steps.mark(name, 'done', describe?.(result));
        return result;
      } catch (error) {
        const failure = failureOf(error);
        const canWait = parks(failure) || mendable.some((type) => type === failure.type);
        if (isCancellation(error) || !this.#mayPark() || !canWait) {
          this.#steps.mark(name, 'failed', failure.message);
          throw error;
        }
        await this.#park(name, failure, error, parkedSince);
      }
    }
  }

  /**
   * A part with steps of its own, called `<name>: <step>`, and clean-ups of its own, which have ended when it has.
   */
  async chapter<T>(name: string, work: () => Promise<T>): Promise<T> {
    const outer = this.#cleanups;
    this.#cleanups = [];
    this.#steps.chapter = name;
    try {
      return await work();
    } finally {
      await CancellationScope.nonCancellable(() => this.#cleanUp());
      this.#closing = false;
      this.#cleanups = outer;
      this.#steps.chapter = null;
    }
  }

  #mayPark(): boolean {
    if (this.#closing || this.#parks === 'never') return false;
    return this.#parks === 'always' || this.status.instance !== null;
  }

  /** What people should know while the runbook goes on; null takes it back. */
  explain(text: string | null): void {
    this.status.message = text;
    this.publish();
  }

  /** The same, beside what is said already. */
  add(text: string): void {
    this.explain([this.status.message, text].filter((line) => line !== null).join('\n'));
  }

  /** Registered before the step that makes what it cleans; run last first, whatever happened. */
  cleanUpWith(work: () => Promise<void>): void {
    this.#cleanups.push(work);
  }

  /** Shows the plan and stops in `step` until people, or the policy, have made the decision `name` on exactly this plan. */
  async decide(step: string, name: string, plan: Plan): Promise<Decided> {
    const { timeLimitMs } = this.#decisions.policy;
    try {
      this.#decisions.ask(name, plan);
    } catch (error) {
      this.#steps.mark(step, 'failed', failureOf(error).message);
      throw error;
    }
    this.#setOutcome('waiting-for-decision');
    this.#steps.mark(step, 'waiting', `plan ${plan.digest}; ends in ${formatDuration(timeLimitMs)}`);
    try {
      await this.#askPeople(name, timeLimitMs);
      return this.#settle(step);
    } catch (error) {
      this.#steps.mark(step, 'failed', 'cancelled');
      throw error;
    } finally {
      this.status.waitingFor = null;
      this.#setOutcome('running');
    }
  }

  /** Waits for the decision, and tells people that it is waited for, and again before it is too late. */
  async #askPeople(name: string, timeLimitMs: number): Promise<void> {
    const decided = () => this.#decisions.verdict() !== null;
    const summary = `time limit of ${name}`;
    const { remindMs } = this.#limits;
    if (remindMs === null || decided()) return this.#people(decided, timeLimitMs, summary);
    await this.tell(decisionAlert(this.status, name, timeLimitMs, 'waiting'));
    // One that ends so soon needs no reminder.
    if (timeLimitMs <= remindMs) return this.#people(decided, timeLimitMs, summary);
    const first = timeLimitMs - remindMs;
    await this.#people(decided, first, summary);
    if (decided() || this.#retargets.ready) return;
    await this.tell(decisionAlert(this.status, name, timeLimitMs - first, 'expiring'));
    await this.#people(decided, timeLimitMs - first, summary);
  }

  /** Whose approval counted at the last decision. */
  deciders(): string[] {
    return this.#decisions.deciders();
  }

  /** Where anybody is to be told at all. */
  async tell(alert: Alert): Promise<void> {
    if (this.#limits.remindMs !== null) await raise(alert);
  }

  /** Waits for people; a target that is being worked out when the time is over is waited for as well. */
  async #people(settled: () => boolean, milliseconds: number, summary: string): Promise<void> {
    await condition(() => settled() || this.#retargets.ready, milliseconds, { summary });
    await condition(() => !this.#retargets.working);
  }

  /** From now on nobody can name another target. */
  fixTarget(why: string): void {
    this.#fixed = why;
  }

  #whyNoRetarget(): string | null {
    if (this.#fixed !== null) return this.#fixed;
    if (this.#handingOver) return this.#resumed ? 'the hand-over is over' : null;
    if (this.status.waitingFor === null) return 'the runbook is not waiting for a decision';
    return this.#decisions.verdict() === null ? null : 'the plan is decided';
  }

  #settle(step: string): Decided {
    if (this.#retargets.ready) {
      this.#steps.mark(step, 'failed', this.#retargets.whyNotNow() as string);
      return { verdict: 'retargeted' };
    }
    const verdict = this.#decisions.verdict() ?? 'expired';
    const by = this.#decisions.deciders().join(', ');
    const said = by === '' ? verdict : `${verdict} by ${by}`;
    if (verdict !== 'approved') {
      this.#steps.mark(step, 'failed', said);
      return { verdict };
    }
    const { conflict, drift } = this.#decisions.choice();
    const beyond = drift === 0 ? '' : `, and ${countOf(drift, 'row')} beyond the plan`;
    this.#steps.mark(step, 'done', conflict === null ? said : `${said}: ${conflict}${beyond}`);
    return { verdict, conflict, drift };
  }

  /**
   * Hands the instance over for a while, or until somebody sends `resume` or, where `mayRetarget`, another target.
   */
  async handOver(
    name: string,
    milliseconds: number,
    options: { detail: string; mayRetarget: boolean },
  ): Promise<'over' | 'retargeted'> {
    this.#steps.mark(name, 'waiting', options.detail);
    this.#resumed = false;
    this.#handingOver = options.mayRetarget;
    try {
      await this.#people(() => this.#resumed, milliseconds, name);
    } catch (error) {
      this.#steps.mark(name, 'failed', 'cancelled');
      throw error;
    } finally {
      this.#handingOver = false;
    }
    if (!this.#retargets.ready) {
      this.#steps.mark(name, 'done');
      return 'over';
    }
    this.#steps.mark(name, 'failed', this.#retargets.whyNotNow() as string);
    return 'retargeted';
  }

  /** The new aim after a wait ended `retargeted`. */
  takeAim(): Aim {
    this.explain(null);
    return this.#retargets.take();
  }

  /** These steps are still to come again, and there is no plan. */
  startOver(steps: readonly string[]): void {
    this.status.plan = null;
    this.#steps.startOver(steps);
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
    await CancellationScope.nonCancellable(async () => {
      await this.#cleanUp();
      this.#steps.close();
      this.status.outcome = ending;
      await this.#attempt(async () => {
        this.status.evidence = await leaveEvidence();
      });
      this.#setOutcome(ending);
      if (ending === 'failed') await this.tell(failureAlert(this.status));
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
    return this.#steps.seconds();
  }

  /** Last first; nothing parks any more. */
  async #cleanUp(): Promise<void> {
    this.#closing = true;
    for (const cleanUp of this.#cleanups.reverse()) await this.#attempt(cleanUp);
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
      this.add(`clean-up failed: ${textOf(failure)}`);
    }
  }

  async #park(name: string, failure: Failure, error: unknown, since: { at: number | null }): Promise<void> {
    const { parkLimitMs, noWorkerRetryMs } = this.#limits;
    since.at ??= Date.now();
    const left = since.at + parkLimitMs - Date.now();
    if (left <= 0) {
      this.#steps.mark(name, 'failed', failure.message);
      throw error;
    }
    this.status.message = textOf(failure);
    this.#resumed = false;
    this.#setOutcome('parked');
    this.#steps.mark(name, 'parked', `${failure.message}; signal resume when it is mended`);
    await this.tell(parkedAlert(this.status, name));
    const untilRetried = failure.type === 'NoWorker' ? Math.min(noWorkerRetryMs, left) : left;
    try {
      await condition(() => this.#resumed, untilRetried);
    } catch (cancelled) {
      this.#steps.mark(name, 'failed', 'cancelled');
      throw cancelled;
    }
    if (!this.#resumed && failure.type !== 'NoWorker') {
      this.#steps.mark(name, 'failed', failure.message);
      throw error;
    }
    this.status.message = null;
    this.#setOutcome('running');
  }

  #setOutcome(outcome: Outcome): void {
    this.status.outcome = outcome;
    upsertSearchAttributes({ [SEARCH_ATTRIBUTES.outcome]: [outcome] });
    this.publish();
  }
}
