import type { Readable } from 'node:stream';

/** A part of a stream in a buffer of the pool; `release` gives the buffer back. */
export interface Part {
  data: Buffer;
  isLast: boolean;
  release(): void;
}

/**
 * Cuts a stream into parts of `partBytes`; only the last is shorter, and an empty stream is one empty part.
 * At most `buffers` parts exist at a time: the stream waits until one is released, which bounds the memory.
 * Throws what the stream was destroyed with.
 */
export async function* partsOf(content: Readable, partBytes: number, buffers: number): AsyncGenerator<Part> {
  const pool = bufferPool(partBytes, buffers);
  let buffer = await pool.take();
  let filled = 0;
  const part = (isLast: boolean): Part => {
    const full = buffer;
    return { data: full.subarray(0, filled), isLast, release: () => pool.giveBack(full) };
  };
  for await (const chunk of content as AsyncIterable<Buffer>) {
    for (let offset = 0; offset < chunk.length; ) {
      // Only when more arrives is a full buffer known not to be the last part.
      if (filled === partBytes) {
        yield part(false);
        buffer = await pool.take();
        filled = 0;
      }
      const copied = chunk.copy(buffer, filled, offset);
      offset += copied;
      filled += copied;
    }
  }
  yield part(true);
}

function bufferPool(bytes: number, limit: number) {
  const free: Buffer[] = [];
  const waiting: ((buffer: Buffer) => void)[] = [];
  let made = 0;
  return {
    take(): Promise<Buffer> {
      const buffer = free.pop();
      if (buffer !== undefined) return Promise.resolve(buffer);
      if (made < limit) {
        made += 1;
        return Promise.resolve(Buffer.allocUnsafeSlow(bytes));
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    giveBack(buffer: Buffer): void {
      const next = waiting.shift();
      if (next === undefined) free.push(buffer);
      else next(buffer);
    },
  };
}
