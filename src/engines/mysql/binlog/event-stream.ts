import { crc32 } from 'node:zlib';
import { type ByteReader, EndOfBytes } from './byte-reader.ts';

const CHECKSUM_BYTES = 4;

/** One event that is too large to be held: its body in pieces, its checksum computed on the way. */
export class EventStream {
  readonly #reader: ByteReader;
  readonly #hasChecksum: boolean;
  #checksum = 0;
  /** bytes of the body that were not taken yet */
  left: number;

  /** The reader stands before the header, which it has already. */
  constructor(reader: ByteReader, headerBytes: number, length: number, hasChecksum: boolean) {
    this.#reader = reader;
    this.#hasChecksum = hasChecksum;
    this.left = length - headerBytes - (hasChecksum ? CHECKSUM_BYTES : 0);
    this.#count(reader.take(headerBytes));
  }

  /** The next bytes of the body, at most so many, without taking them. Throws EndOfBytes. */
  async peek(bytes: number): Promise<Buffer> {
    const wanted = Math.min(bytes, this.left);
    if (!(await this.#reader.fill(wanted))) throw new EndOfBytes(this.#reader);
    return this.#reader.peek(wanted);
  }

  /** Takes what {@link peek} has shown. */
  take(bytes: number): Buffer {
    const taken = this.#reader.take(bytes);
    this.left -= bytes;
    this.#count(taken);
    return taken;
  }

  /** So many bytes of the body, or all that is left of it, in pieces. Throws EndOfBytes. */
  async *pieces(bytes = this.left): AsyncGenerator<Buffer, void> {
    for await (const piece of this.#reader.pieces(bytes)) {
      this.left -= piece.length;
      this.#count(piece);
      yield piece;
    }
  }

  /** Passes over what is left; false: the checksum is wrong. Throws EndOfBytes. */
  async finish(): Promise<boolean> {
    for await (const _ of this.pieces()) {
      // only counted
    }
    if (!this.#hasChecksum) return true;
    if (!(await this.#reader.fill(CHECKSUM_BYTES))) throw new EndOfBytes(this.#reader);
    return this.#reader.take(CHECKSUM_BYTES).readUInt32LE() === this.#checksum;
  }

  #count(bytes: Buffer): void {
    if (this.#hasChecksum) this.#checksum = crc32(bytes, this.#checksum);
  }
}
