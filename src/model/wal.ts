/**
 * PostgreSQL's log positions and segment names, as pure arithmetic. An LSN is a 64-bit position written
 * `high/low` in hexadecimal; a segment is named by 8 hexadecimal digits each of timeline, high part and
 * number within it (source: PostgreSQL `xlog_internal.h`, XLogFileName).
 */
export const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;

export function parseLsn(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** One segment: its timeline and its number since position 0. */
export interface Segment {
  timeline: number;
  number: bigint;
}

export function parseSegmentName(name: string, segmentBytes = DEFAULT_SEGMENT_BYTES): Segment | null {
  if (!/^[0-9A-F]{24}$/.test(name)) return null;
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  const number = BigInt(`0x${name.slice(8, 16)}`) * perHigh + BigInt(`0x${name.slice(16, 24)}`);
  return { timeline: Number.parseInt(name.slice(0, 8), 16), number };
}

export function formatSegmentName(segment: Segment, segmentBytes = DEFAULT_SEGMENT_BYTES): string {
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0');
  return hex(BigInt(segment.timeline)) + hex(segment.number / perHigh) + hex(segment.number % perHigh);
}

/** The number of the segment that holds this position. */
export function segmentOf(lsn: bigint, segmentBytes = DEFAULT_SEGMENT_BYTES): bigint {
  return lsn / BigInt(segmentBytes);
}

/** The first position of a segment. */
export function segmentStart(number: bigint, segmentBytes = DEFAULT_SEGMENT_BYTES): bigint {
  return number * BigInt(segmentBytes);
}
