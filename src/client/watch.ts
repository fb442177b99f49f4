import type { Client } from '@temporalio/client';
import type { RunbookStatus } from '../model/runbook.ts';
import { type FollowOptions, follow, type Observed } from './observe.ts';
import { formatTime, terminalWidth } from './output.ts';
import { SpeedMeter } from './progress.ts';
import { formatEvents } from './view/events.ts';
import { formatProgress } from './view/progress.ts';
import { formatStatus } from './view/status.ts';

/**
 * Follows a run on stdout: redrawn in place on a terminal, one line for each change elsewhere. Ctrl-C ends the
 * watching, never the run. Returns the last look, whose screen is not printed yet when the output is no terminal.
 */
export async function watchRun(
  client: Client,
  workflowId: string,
  options: Pick<FollowOptions, 'until' | 'readEvidence'> & { again: readonly string[] },
): Promise<Observed> {
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt);
  const screen = process.stdout.isTTY ? new Screen() : new Lines();
  const meter = new SpeedMeter();
  const view = (observed: Observed) => {
    const now = new Date();
    const progress = observed.status.steps.find((step) => step.progress !== undefined)?.progress;
    const speed = meter.observe(progress, now.getTime());
    const { status, activities, result } = observed;
    return { status, activities, speed, now, width: terminalWidth(), options: options.again, result };
  };
  try {
    return await follow(client, workflowId, {
      ...options,
      signal: stop.signal,
      onLook: (observed) => screen.show(view(observed)),
      onAway: () => screen.away(new Date()),
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    screen.end();
    process.stderr.write(`\nno longer watching; ${workflowId} goes on\n`);
    process.exit(130);
  } finally {
    process.removeListener('SIGINT', interrupt);
    screen.end();
  }
}

type View = Parameters<typeof formatStatus>[0];

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

/** The whole status, drawn over itself. */
class Screen {
  #height = 0;

  show(view: View): void {
    const rows = (process.stdout.rows ?? 24) - 1;
    // What does not fit would scroll and be drawn twice; the end says what to do next.
    this.#draw(formatStatus(view).split('\n').slice(-rows));
  }

  away(now: Date): void {
    this.#draw([`${formatTime(now)}  Temporal does not answer; trying again`]);
  }

  end(): void {
    if (this.#height > 0) process.stdout.write(SHOW_CURSOR);
    this.#height = 0;
  }

  #draw(lines: readonly string[]): void {
    const up = this.#height === 0 ? HIDE_CURSOR : `\u001b[${this.#height}A\r`;
    // Each line clears its own rest: clearing the whole first would flicker.
    process.stdout.write(`${up}${lines.map((line) => `${line}\u001b[K`).join('\n')}\n\u001b[J`);
    this.#height = lines.length;
  }
}

const PROGRESS_EVERY_MS = 10_000;

/** One line per change, and of a long step's progress now and then. */
class Lines {
  #before: RunbookStatus | null = null;
  #progressAt = 0;
  #phase = '';
  #awaySince = 0;

  show(view: View): void {
    const { status, now, speed } = view;
    this.#awaySince = 0;
    for (const line of formatEvents(this.#before, status, now)) process.stdout.write(`${line}\n`);
    this.#before = status;
    const step = status.steps.find((candidate) => candidate.progress !== undefined);
    if (step?.progress === undefined) return;
    const due = now.getTime() - this.#progressAt >= PROGRESS_EVERY_MS;
    if (!due && this.#phase === step.progress.phase) return;
    this.#phase = step.progress.phase;
    this.#progressAt = now.getTime();
    process.stdout.write(`${formatTime(now)}  ${step.name}, ${formatProgress(step.progress, speed)}\n`);
  }

  away(now: Date): void {
    if (this.#awaySince === 0) {
      process.stdout.write(`${formatTime(now)}  Temporal does not answer; trying again\n`);
    }
    this.#awaySince = now.getTime();
  }

  end(): void {}
}
