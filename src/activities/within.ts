import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';

/**
 * Work that has so much time: then its signal aborts, and nobody waits for what does not listen to it. Throws ToolFailed,
 * or the reason of the run's own signal.
 */
export async function within<T>(
  { limitMs, what }: { limitMs: number; what: string },
  run: Run,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  run.signal.throwIfAborted();
  const over = new HoldfastError('ToolFailed', `${what} took longer than ${limitMs / 1_000} s`);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(over), limitMs);
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([work({ ...run, signal }), ended]);
  } finally {
    clearTimeout(timer);
  }
}
