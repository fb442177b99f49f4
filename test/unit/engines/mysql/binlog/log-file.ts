import { crc32 } from 'node:zlib';

/** Makes the bytes of a binary log, for events that no server here writes. */
export class LogFile {
  #bytes: Buffer;
  readonly #hasChecksums: boolean;

  constructor(version: string, options: { hasChecksums?: boolean; magic?: number } = {}) {
    this.#hasChecksums = options.hasChecksums ?? true;
    this.#bytes = Buffer.from([options.magic ?? 0xfe, 0x62, 0x69, 0x6e]);
    const body = Buffer.alloc(2 + 50 + 4 + 1 + 40 + 1);
    body.writeUInt16LE(4);
    body.write(version, 2);
    body[56] = 19;
    body[body.length - 1] = this.#hasChecksums ? 1 : 0;
    this.#append(15, body, true);
  }

  add(code: number, body: Uint8Array | readonly number[]): this {
    this.#append(code, Buffer.from(body), this.#hasChecksums);
    return this;
  }

  /** A commit, and nothing else. */
  addXid(): this {
    return this.add(16, Buffer.alloc(8));
  }

  get length(): number {
    return this.#bytes.length;
  }

  async *open(): AsyncGenerator<Buffer, void> {
    yield this.#bytes;
  }

  #append(code: number, body: Buffer, hasChecksum: boolean): void {
    const header = Buffer.alloc(19);
    const length = 19 + body.length + (hasChecksum ? 4 : 0);
    header.writeUInt32LE(1_700_000_000);
    header[4] = code;
    header.writeUInt32LE(1, 5);
    header.writeUInt32LE(length, 9);
    header.writeUInt32LE(this.#bytes.length + length, 13);
    const event = Buffer.concat([header, body]);
    const checksum = Buffer.alloc(hasChecksum ? 4 : 0);
    if (hasChecksum) checksum.writeUInt32LE(crc32(event));
    this.#bytes = Buffer.concat([this.#bytes, event, checksum]);
  }
}
