/** Thrown where the bytes of a reader end too early; its users say it in their own words. */
export class EndOfBytes extends Error {
  readonly reader: ByteReader;

  constructor(reader: ByteReader) {
    super('the bytes end too early');
    this.reader = reader;
  }
}

/** Reads a stream of bytes by lengths. Holds what was asked for at once and one piece of the stream more. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #held: Buffer = Buffer.alloc(0);
  #offset = 0;
  /** how many bytes were taken so far */
  position = 0;

  constructor(source: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
    this.#source = source[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** bytes that can be taken without waiting */
  get available(): number {
    return this.#held.length - this.#offset;
  }

  /** Waits until so many bytes can be taken; false: the stream ends before. */
  async fill(bytes: number): Promise<boolean> {
    if (this.available >= bytes) return true;
    const pieces = [this.#held.subarray(this.#offset)];
    let total = this.available;
    let isMore = true;
    while (total < bytes && isMore) {
      const piece = await this.#next();
      if (piece === null) isMore = false;
      else {
        pieces.push(piece);
        total += piece.length;
      }
    }
    this.#held = Buffer.concat(pieces, total);
    this.#offset = 0;
    return isMore;
  }

  /** Takes bytes that are there already; see {@link fill}. */
  take(bytes: number): Buffer {
    const taken = this.peek(bytes);
    this.#offset += bytes;
    this.position += bytes;
    return taken;
  }

  peek(bytes: number): Buffer {
    return this.#held.subarray(this.#offset, this.#offset + bytes);
  }

  /** The next bytes, in pieces. Throws EndOfBytes. */
  async *pieces(bytes: number): AsyncGenerator<Buffer, void> {
    let left = bytes;
    while (left > 0) {
      if (this.available === 0 && !(await this.fill(1))) throw new EndOfBytes(this);
      const piece = this.take(Math.min(left, this.available));
      left -= piece.length;
      yield piece;
    }
  }

  /** Lets the stream go; needed where it was not read to its end. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<Buffer | null> {
    this.#signal?.throwIfAborted();
    const { done, value } = await this.#source.next();
    if (done === true) return null;
    return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
}
