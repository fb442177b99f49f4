import { ApplicationFailure, Context } from '@temporalio/activity';
import { HoldfastError } from '../model/failure.ts';
import type { Progress, Run } from '../model/progress.ts';

/**
 * Runs an engine's work as an activity: heartbeats on a timer whatever the work prints (a silent dump is alive
 * too), hands the cancellation on as the signal, and turns errors into failures of a listed type.
 */
export async function asActivity<T>(work: (run: Run) => Promise<T>): Promise<T> {
  const context = Context.current();
  const signal = context.cancellationSignal;
  let latest: Progress | null = null;
  const beat = () => context.heartbeat(latest);
  const timer = setInterval(beat, Math.max(500, (context.info.heartbeatTimeoutMs ?? 30_000) / 3));
  try {
    return await work({
      signal,
      progress: (progress) => {
        latest = progress;
        beat();
      },
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw toFailure(error);
  } finally {
    clearInterval(timer);
  }
}

/** An ApplicationFailure with the hint as its first detail, the reason as its second. Nothing of an unknown error but its message goes out. */
export function toFailure(error: unknown): Error {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof HoldfastError) {
    return ApplicationFailure.create({
      type: error.type,
      message: error.message,
      nonRetryable: !error.retryable,
      details: detailsOf(error),
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return ApplicationFailure.create({ type: 'ToolFailed', message: `unexpected: ${message}` });
}

function detailsOf({ hint, reason }: HoldfastError): string[] {
  if (reason !== undefined) return [hint ?? '', reason];
  return hint === undefined ? [] : [hint];
}
