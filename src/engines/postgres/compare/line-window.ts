const NEWLINE = 0x0a;

/**
 * Complete lines of a byte stream, a window at a time. Memory is one chunk of the source and the longest line.
 * Bytes of a window are never written to again, so that parts of it may be handed on without a copy.
 */
export class LineWindow {
  buffer: Buffer = Buffer.alloc(0);
  /** the next byte to read */
  start = 0;
  /** behind the last complete line */
  end = 0;
  /** bytes had from the source so far */
  bytes = 0;
  private readonly chunks: AsyncIterator<Buffer>;

  constructor(source: AsyncIterable<Buffer>) {
    this.chunks = source[Symbol.asyncIterator]();
  }

  /** Makes sure there is a line in the window; false at the end of the source. */
  async fill(): Promise<boolean> {
    while (this.start >= this.end) {
      const next = await this.chunks.next();
      if (next.done === true) {
        if (this.start < this.buffer.length) throw new Error('a stream of lines ended within a line');
        return false;
      }
      this.bytes += next.value.length;
      const rest = this.buffer.subarray(this.start);
      this.buffer = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
      this.start = 0;
      this.end = this.buffer.lastIndexOf(NEWLINE) + 1;
    }
    return true;
  }

  /** Where the line at `start` ends, its newline excluded. */
  lineEnd(): number {
    return this.buffer.indexOf(NEWLINE, this.start);
  }

  line(): Buffer {
    return this.buffer.subarray(this.start, this.lineEnd());
  }

  /** Reads the rest and forgets it: a COPY has to be drained before its session can be used again. */
  async drain(): Promise<void> {
    this.buffer = Buffer.alloc(0);
    this.start = 0;
    this.end = 0;
    while ((await this.chunks.next()).done !== true);
  }

  /** Closes the source, which may not have been read to its end. */
  async close(): Promise<void> {
    await this.chunks.return?.();
  }
}

/** Lines as text, without their newlines, many at a time: to wait for each by itself costs more than to read it. */
export async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<string[]> {
  const window = new LineWindow(source);
  try {
    while (await window.fill()) {
      const text = window.buffer.toString('utf8', window.start, window.end - 1);
      window.start = window.end;
      yield text.split('\n');
    }
  } finally {
    await window.close();
  }
}
