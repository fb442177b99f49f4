import { Readable } from 'node:stream';
import { type StartedTool, startTool } from '../process.ts';

export interface CompressedOutput {
  /** ends only after both programs have ended well and the checks have passed; else it is destroyed */
  content: Readable;
  /** settles when both programs have ended; rejects with the one that failed first in the pipe's logic */
  finished: Promise<void>;
}

/**
 * A program's output through `zstd -1`. The pipe between the two is the kernel's: only compressed bytes pass
 * through Node. `checks` are awaited before the stream may end, so that nothing incomplete becomes an object.
 */
export function compressedOutput(
  start: () => StartedTool,
  options: { signal: AbortSignal; checks?: Promise<unknown>; onBytes?: (bytes: number) => void },
): CompressedOutput {
  const source = start();
  const zstd = startTool('zstd', ['-1', '-T2', '--quiet', '--stdout', '-'], {
    signal: options.signal,
    stdin: source,
    stdout: 'pipe',
  });
  const finished = bothEnded(source, zstd);
  finished.catch(() => {});
  async function* guarded(): AsyncGenerator<Buffer> {
    for await (const piece of zstd.stdout as AsyncIterable<Buffer>) {
      options.onBytes?.(piece.length);
      yield piece;
    }
    await finished;
    await options.checks;
  }
  return { content: Readable.from(guarded(), { objectMode: false, highWaterMark: 1024 * 1024 }), finished };
}

/** A dying zstd breaks the pipe and so the program before it: its own failure says more. */
async function bothEnded(source: StartedTool, zstd: StartedTool): Promise<void> {
  const [first, second] = await Promise.allSettled([source.finished, zstd.finished]);
  if (second.status === 'rejected') throw second.reason;
  if (first.status === 'rejected') throw first.reason;
}
