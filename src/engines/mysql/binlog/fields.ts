import { Malformed } from './malformed.ts';

/** Reads the fields of one event in order. Throws Malformed where they are longer than the event. */
export class Fields {
  readonly #bytes: Buffer;
  #offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  bytes(length: number): Buffer {
    if (length > this.left) throw new Malformed('a field goes beyond the end');
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  skip(length: number): void {
    this.bytes(length);
  }

  text(length: number): string {
    return this.bytes(length).toString('utf8');
  }

  /** A whole number of up to 6 bytes, little-endian as everything in a binary log. */
  number(length: number): number {
    return length === 0 ? 0 : this.bytes(length).readUIntLE(0, length);
  }

  big(length: number): bigint {
    let value = 0n;
    for (const byte of this.bytes(length).toReversed()) value = (value << 8n) | BigInt(byte);
    return value;
  }

  /** A number packed as in MySQL's protocol (`net_field_length`). Those of more than 53 bits are refused. */
  packed(): number {
    const first = this.number(1);
    if (first < 251) return first;
    if (first === 252) return this.number(2);
    if (first === 253) return this.number(3);
    if (first !== 254) throw new Malformed('a length is no length');
    const value = this.big(8);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed('a length is too large');
    return Number(value);
  }

  /**
   * A number in the format of mysql::serialization: as many ones at the low end of its first byte as bytes follow.
   * Source: https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html
   */
  variable(): bigint {
    const first = this.number(1);
    let more = 0;
    while (more < 8 && (first >> more) & 1) more += 1;
    if (more === 8) return this.big(8);
    const high = this.big(more);
    return (high << BigInt(7 - more)) | BigInt(first >> (more + 1));
  }

  /** As {@link variable}, with the sign as the lowest bit. */
  signedVariable(): bigint {
    const value = this.variable();
    return value & 1n ? -(value >> 1n) - 1n : value >> 1n;
  }
}

/** 16 bytes as MySQL writes a server's uuid. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
