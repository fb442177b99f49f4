import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Run } from '../model/progress.ts';
import type { ExportedFile, ExportInput } from './contract/read.ts';

/** An export under way. */
export interface Exporting {
  input: ExportInput;
  run: Run;
  /** aborted with the run, and by the first failure: nothing goes on behind it */
  signal: AbortSignal;
  stop: (reason: unknown) => void;
}

export function startExport(input: ExportInput, run: Run): Exporting {
  const stopping = new AbortController();
  return {
    ...{ input, run },
    signal: AbortSignal.any([run.signal, stopping.signal]),
    stop: (reason) => stopping.abort(reason),
  };
}

/** Puts what a source gives; a source that fails, or an abort, leaves no file. `mapped` makes an error one for people. */
export async function putWhole(
  { input, run, signal, stop }: Exporting,
  name: string,
  source: AsyncIterable<Buffer>,
  mapped: (error: unknown) => unknown,
): Promise<ExportedFile> {
  let cause: unknown;
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of source) {
        bytes += piece.length;
        run.progress({ phase: `exporting ${name}`, done: bytes, unit: 'bytes' });
        yield piece;
      }
    } catch (error) {
      cause ??= error;
      throw error;
    }
  }
  const content = Readable.from(counted(), { objectMode: false, highWaterMark: 1024 * 1024 });
  const abort = () => content.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await input.put(name, content);
  } catch (error) {
    run.signal.throwIfAborted();
    const failure = mapped(cause ?? error);
    // The session or program behind the stream would otherwise wait for its reader.
    stop(failure);
    throw failure;
  } finally {
    signal.removeEventListener('abort', abort);
    content.destroy();
  }
}

/**
 * A name for any file system: as it is where all of it is plain, `public.orders.csv`; else what is readable of
 * it and a digest of the whole, as the letters' case alone may tell two names apart.
 */
export function fileName(parts: readonly string[], extension: string): string {
  const whole = parts.join('.');
  if (parts.every((part) => /^[a-z0-9_]+$/.test(part))) return `${whole}.${extension}`;
  const readable = whole
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.]+/g, '_')
    .slice(0, 100);
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
  return `${readable}-${digest}.${extension}`;
}
