import { Fields } from './fields.ts';
import { Malformed } from './malformed.ts';

export interface PayloadHead {
  compression: 'zstd' | 'none';
  payloadBytes: number;
  uncompressedBytes: number;
  /** where the payload begins */
  offset: number;
}

/** What stands before a payload takes at most so many bytes, unless fields are added. */
export const PAYLOAD_HEAD_LIMIT = 256;

const END = 0;
const SIZE = 1;
const COMPRESSION = 2;
const UNCOMPRESSED_SIZE = 3;
const ZSTD = 0;
const NONE = 255;

/** A whole transaction, compressed. Source: `Transaction_payload_event` of MySQL's control_events.h. */
export function decodePayloadHead(body: Buffer): PayloadHead {
  const fields = new Fields(body);
  const values = new Map<number, number>();
  for (;;) {
    const field = fields.packed();
    if (field === END) break;
    const value = new Fields(fields.bytes(fields.packed()));
    values.set(field, value.packed());
  }
  const payloadBytes = values.get(SIZE);
  const compression = values.get(COMPRESSION);
  if (payloadBytes === undefined) throw new Malformed('a payload without its length');
  if (compression !== ZSTD && compression !== NONE) throw new Malformed(`compression ${compression}`);
  return {
    compression: compression === ZSTD ? 'zstd' : 'none',
    payloadBytes,
    uncompressedBytes: values.get(UNCOMPRESSED_SIZE) ?? payloadBytes,
    offset: body.length - fields.left,
  };
}
