import { type RunbookStatus, type Step, type StepState, secondsOf } from '../../model/runbook.ts';

/** The steps on a runbook's clipboard: the state of each, since when, and how much of its time was people's. */
export class Steps {
  readonly #status: RunbookStatus;
  readonly #changed: () => void;
  /** steps in which only people are waited for */
  readonly #waits = new Set<string>();
  readonly #parkedAt = new Map<string, number>();
  /** what the names of steps begin with, where a runbook does the same several times; null: with nothing */
  chapter: string | null = null;

  constructor(status: RunbookStatus, changed: () => void) {
    this.#status = status;
    this.#changed = changed;
  }

  mark(named: string, state: StepState, detail?: string): void {
    const name = this.chapter === null ? named : `${this.chapter}: ${named}`;
    const step = this.#find(name);
    const now = new Date();
    const parkedAt = this.#parkedAt.get(name);
    if (parkedAt !== undefined) {
      step.parkedSeconds = (step.parkedSeconds ?? 0) + (now.getTime() - parkedAt) / 1_000;
      this.#parkedAt.delete(name);
    }
    if (state === 'parked') this.#parkedAt.set(name, now.getTime());
    if (state === 'waiting') this.#waits.add(name);
    if (state === 'running' && (step.state === 'done' || step.state === 'failed')) forget(step);
    step.startedAt ??= now.toISOString();
    step.finishedAt = state === 'done' || state === 'failed' ? now.toISOString() : null;
    step.state = state;
    if (detail !== undefined || state === 'running') step.detail = detail ?? null;
    this.#changed();
  }

  /** These are still to come again. */
  startOver(names: readonly string[]): void {
    for (const step of this.#status.steps) {
      if (!names.includes(step.name)) continue;
      forget(step);
      step.state = 'pending';
    }
    this.#changed();
  }

  /** Nothing more is to come. */
  close(): void {
    for (const step of this.#status.steps) if (step.state === 'pending') step.state = 'skipped';
  }

  /** What the steps took, without the time that people took: for a decision, or to mend what had parked one. */
  seconds(): number {
    return this.#status.steps
      .filter(({ name }) => !this.#waits.has(name))
      .reduce((sum, step) => sum + (secondsOf(step) ?? 0), 0);
  }

  /** One that is not always needed stands before those that are still to come. */
  #find(name: string): Step {
    const { steps } = this.#status;
    const known = steps.find((step) => step.name === name);
    if (known !== undefined) return known;
    const next = steps.findIndex(({ state }) => state === 'pending');
    const step = stepOf(name);
    steps.splice(next === -1 ? steps.length : next, 0, step);
    return step;
  }
}

export const stepOf = (name: string): Step => ({
  ...{ name, state: 'pending', startedAt: null, finishedAt: null, detail: null },
});

function forget(step: Step): void {
  Object.assign(step, stepOf(step.name));
  delete step.parkedSeconds;
}
