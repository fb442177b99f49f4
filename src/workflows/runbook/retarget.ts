import { ApplicationFailure, defineUpdate, log, setHandler } from '@temporalio/workflow';
import { z } from 'zod';
import type { Base } from '../../activities/recovery-types.ts';
import { describeIssues } from '../../model/input.ts';
import { UPDATES } from '../../model/message.ts';
import { describeTarget, type Target, targetSchema } from '../../model/target.ts';
import { endWith, failureOf } from './failure.ts';

/** What the update `retarget` gives: the base from which the new target will be reached. */
export interface Retargeted {
  target: Target;
  backup: string;
}

/** A new aim of a recovery, its base chosen. */
export interface Aim {
  target: Target;
  base: Base;
}

const retargetSchema = z.strictObject({ target: targetSchema });
const retargetUpdate = defineUpdate<Retargeted, [unknown]>(UPDATES.retarget);

/**
 * Lets people change the target while the runbook waits for them. The base of the new target is chosen first:
 * where there is none, the update fails with the reason, and the plan that is shown stands.
 */
export class Retargets {
  readonly #choose: ((target: Target) => Promise<Base>) | null;
  readonly #refusal: () => string | null;
  #working: Target | null = null;
  #next: Aim | null = null;

  /** `choose` is null for a runbook without a target. `refusal` says why it cannot be changed just now, or null. */
  constructor(choose: ((target: Target) => Promise<Base>) | null, refusal: () => string | null) {
    this.#choose = choose;
    this.#refusal = () => (choose === null ? 'this runbook has no target' : refusal());
    setHandler(retargetUpdate, (message) => this.#work(retargetSchema.parse(message).target), {
      validator: (message) => {
        const parsed = retargetSchema.safeParse(message);
        const problem = parsed.success ? (this.whyNotNow() ?? this.#refusal()) : describeIssues(parsed.error);
        if (problem === null) return;
        log.warn('retarget refused', { refusal: problem });
        throw refused(problem);
      },
    });
  }

  get working(): boolean {
    return this.#working !== null;
  }

  /** A new aim is there, and waits to be taken. */
  get ready(): boolean {
    return this.#next !== null;
  }

  /** Why nothing else can be decided meanwhile; null: no target is being changed. */
  whyNotNow(): string | null {
    const target = this.#working ?? this.#next?.target;
    return target === undefined ? null : `the target is being changed to ${describeTarget(target)}`;
  }

  /** The new aim, once. */
  take(): Aim {
    const next = this.#next;
    if (next === null) throw new Error('no new target is there');
    this.#next = null;
    return next;
  }

  async #work(target: Target): Promise<Retargeted> {
    this.#working = target;
    try {
      const base = await (this.#choose as (target: Target) => Promise<Base>)(target);
      // Cancelled meanwhile, or resumed: nobody would take the new aim up.
      const late = this.#refusal();
      if (late !== null) throw refused(late);
      this.#next = { target, base };
      return { target, backup: base.backup };
    } catch (error) {
      throw endWith(failureOf(error));
    } finally {
      this.#working = null;
    }
  }
}

function refused(why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(why, 'DecisionRefused');
}
