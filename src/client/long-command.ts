import { HoldfastError } from '../model/failure.ts';
import type { Progress } from '../model/progress.ts';
import { formatProgress } from './view/progress.ts';

/** Ctrl-C, or a terminal that closes, ends the work in its own order: again does not hurry it. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupt = () => stop.abort(new HoldfastError('ToolFailed', 'interrupted'));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, interrupt);
  try {
    return await work(stop.signal);
  } finally {
    for (const name of signals) process.removeListener(name, interrupt);
  }
}

const REPORT_EVERY_MS = 2_000;

/** Progress for people, on stderr: a line now and then. */
export function reporter(): (progress: Progress) => void {
  let saidAt = 0;
  let phase = '';
  return (progress) => {
    const now = Date.now();
    if (progress.phase === phase && now - saidAt < REPORT_EVERY_MS) return;
    saidAt = now;
    phase = progress.phase;
    process.stderr.write(`${formatProgress(progress, null)}\n`);
  };
}
