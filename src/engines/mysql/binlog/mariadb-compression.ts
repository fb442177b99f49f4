import { inflateSync } from 'node:zlib';
import { Malformed } from './malformed.ts';

/**
 * Compressed parts of MariaDB's events (log_bin_compress): a byte with the algorithm and the length of the length, the
 * length of the contents with its highest byte first, and zlib's data. Source: `binlog_buf_compress` of sql/log_event.cc.
 */
export interface CompressedPart {
  /** bytes before the data */
  headBytes: number;
  contentBytes: number;
}

/** At most so many bytes stand before the data. */
export const PART_HEAD_LIMIT = 5;

export function decodePart(bytes: Buffer): CompressedPart {
  const first = bytes[0];
  if (first === undefined || (first & 0x80) === 0 || (first & 0x70) !== 0) {
    throw new Malformed('an unknown compression');
  }
  const lengthBytes = first & 0x07;
  if (lengthBytes < 1 || lengthBytes > 4 || bytes.length <= lengthBytes) {
    throw new Malformed('a compressed part without its length');
  }
  return { headBytes: 1 + lengthBytes, contentBytes: bytes.readUIntBE(1, lengthBytes) };
}

/** The contents of a part that is there as a whole. */
export function inflatePart(bytes: Buffer): Buffer {
  const { headBytes, contentBytes } = decodePart(bytes);
  return inflateSync(bytes.subarray(headBytes), { maxOutputLength: Math.max(1, contentBytes) });
}
