import { crc32 } from 'node:zlib';
import { ByteReader, EndOfBytes } from './byte-reader.ts';
import { type Context, decodeBody } from './decode-body.ts';
import { decompressed } from './decompress.ts';
import type { BinlogEvent, EventContent, EventPlace } from './event.ts';
import { CODE, rowsFormOf } from './event-code.ts';
import { EventStream } from './event-stream.ts';
import { decodeFormat, isFormatIntact } from './format-event.ts';
import { decodeHeader, type EventHeader, HEADER_BYTES } from './header.ts';
import { readLargeBody } from './large-body.ts';
import { checksumMismatch, damaged, encrypted, Malformed, notBinlog, truncated } from './malformed.ts';
import { decodePayloadHead, PAYLOAD_HEAD_LIMIT } from './payload-event.ts';

const MAGIC = 0x6e69_62fe;
const MAGIC_ENCRYPTED = 0x6e69_62fd;
const MAGIC_BYTES = 4;
const CHECKSUM_BYTES = 4;
/** Events up to this size are held as a whole, larger ones are read in pieces. */
const WHOLE_LIMIT = 1024 * 1024;
/** Their contents can be a thousand times as long. */
const COMPRESSED_WHOLE_LIMIT = 16 * 1024;
/** Some are read as a whole only, and none of them comes near this size. */
const HELD_LIMIT = 64 * 1024 * 1024;
const DEFAULT_SQL_LIMIT = 64 * 1024;

export interface ReadOptions {
  signal?: AbortSignal;
  /** how errors name the file */
  name?: string;
  /** bytes of a statement that are kept, 64 KiB unless told */
  sqlLimit?: number;
  /**
   * What to do where the file ends within an event: `refuse` it (default), or `report` it by a last event `cut`, as a
   * log is that a server was writing when it crashed.
   */
  cut?: 'refuse' | 'report';
}

/**
 * Reads the events of one binary log file, MySQL 8's or MariaDB's, from its first byte on, and verifies their
 * checksums. Memory is bounded whatever the size of events and transactions. Throws BackupUnusable (no binary log, cut
 * off, damaged), ChecksumMismatch, NotSupported (encrypted), or the signal's reason. The events of a large compressed
 * transaction come before its checksum was seen: who needs certainty reads to the end.
 */
export async function* readEvents(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<BinlogEvent, void> {
  const { signal, name = 'the binary log', sqlLimit = DEFAULT_SQL_LIMIT, cut = 'refuse' } = options;
  const reader = new ByteReader(source, signal);
  try {
    await readMagic(reader, name);
    const context: Context = { name, sqlLimit, format: null, tables: new Map() };
    yield* eventsOf(reader, context, null, cut);
  } finally {
    await reader.close();
  }
}

async function readMagic(reader: ByteReader, name: string): Promise<void> {
  if (!(await reader.fill(MAGIC_BYTES))) {
    if (reader.available > 0) throw truncated(name, 0, MAGIC_BYTES, reader.available);
    throw notBinlog(name);
  }
  const magic = reader.take(MAGIC_BYTES).readUInt32LE();
  if (magic === MAGIC_ENCRYPTED) throw encrypted(name, 'binlog_encryption');
  if (magic !== MAGIC) throw notBinlog(name);
}

/** `outer`: the event in which these stand compressed, without checksums of their own. */
async function* eventsOf(
  reader: ByteReader,
  context: Context,
  outer: EventPlace | null,
  cut: 'refuse' | 'report',
): AsyncGenerator<BinlogEvent, void> {
  for (;;) {
    const start = reader.position;
    let header: EventHeader | null = null;
    try {
      if (reader.available < HEADER_BYTES && !(await reader.fill(HEADER_BYTES))) {
        if (reader.available > 0 || (outer === null && context.format === null)) throw new EndOfBytes(reader);
        return;
      }
      header = decodeHeader(reader.peek(HEADER_BYTES));
      requirePlausible(header, start, context, outer);
      const place = outer ?? placeOf(header, start);
      const hasChecksum = outer === null && (context.format?.hasChecksums ?? true);
      if (header.code === CODE.transactionPayload && outer === null) {
        yield* payloadEvents(
          new EventStream(reader, HEADER_BYTES, header.length, hasChecksum),
          context,
          place,
        );
        continue;
      }
      const content = isHeld(header)
        ? await readWhole(reader, header, hasChecksum, context)
        : await readInPieces(reader, header, hasChecksum, context);
      yield { ...place, timestamp: header.timestamp, serverId: header.serverId, ...content };
    } catch (error) {
      const isEnd = error instanceof EndOfBytes;
      // The file's own end, seen by way of what is decompressed from it.
      if (isEnd && error.reader !== reader) throw error;
      if (!isEnd || outer !== null) throw failureOf(error, context.name, start);
      const seen = reader.position + reader.available;
      if (cut === 'refuse') throw truncated(context.name, start, header?.length ?? null, seen);
      const { timestamp = 0, serverId = 0 } = header ?? {};
      yield { start, end: seen, timestamp, serverId, isNested: false, type: 'cut' };
      return;
    }
  }
}

function placeOf({ timestamp, serverId, length }: EventHeader, start: number): EventPlace {
  return { start, end: start + length, timestamp, serverId, isNested: false };
}

function requirePlausible(
  header: EventHeader,
  start: number,
  context: Context,
  outer: EventPlace | null,
): void {
  if (header.length < HEADER_BYTES) throw new Malformed('an impossible length');
  if (context.format === null && header.code !== CODE.format) {
    throw new Malformed('no description of the format');
  }
  if (header.code === CODE.mariadbStartEncryption) throw encrypted(context.name, 'encrypt_binlog');
  // A hole in the file, or a part that belongs elsewhere: each event knows where it ends.
  const isElsewhere = header.end !== 0 && header.end !== (start + header.length) % 2 ** 32;
  if (outer === null && isElsewhere) throw new Malformed('another position than its own');
}

function isHeld({ code, length }: EventHeader): boolean {
  const isCompressed = code === CODE.mariadbQueryCompressed || rowsFormOf(code)?.isCompressed === true;
  if (length <= (isCompressed ? COMPRESSED_WHOLE_LIMIT : WHOLE_LIMIT)) return true;
  if (!NEEDED_WHOLE.has(code)) return false;
  if (length > HELD_LIMIT) throw new Malformed('an impossible length');
  return true;
}

const NEEDED_WHOLE: ReadonlySet<number> = new Set([
  ...[CODE.format, CODE.rotate, CODE.tableMap, CODE.gtid, CODE.anonymousGtid, CODE.taggedGtid],
  ...[CODE.previousGtids, CODE.mariadbGtid, CODE.mariadbGtidList, CODE.xaPrepare, CODE.incident],
]);

async function readWhole(
  reader: ByteReader,
  header: EventHeader,
  hasChecksum: boolean,
  context: Context,
): Promise<EventContent> {
  const { length } = header;
  const start = reader.position;
  if (reader.available < length && !(await reader.fill(length))) throw new EndOfBytes(reader);
  const event = reader.take(length);
  if (header.code === CODE.format) {
    const format = decodeFormat(event);
    if (!isFormatIntact(event)) throw checksumMismatch(context.name, start);
    context.format = format;
    return format;
  }
  if (!hasChecksum) return decodeBody(header, event.subarray(HEADER_BYTES), context);
  if (length < HEADER_BYTES + CHECKSUM_BYTES) throw new Malformed('an impossible length');
  const body = event.subarray(0, length - CHECKSUM_BYTES);
  if (crc32(body) !== event.readUInt32LE(length - CHECKSUM_BYTES)) {
    throw checksumMismatch(context.name, start);
  }
  return decodeBody(header, body.subarray(HEADER_BYTES), context);
}

async function readInPieces(
  reader: ByteReader,
  header: EventHeader,
  hasChecksum: boolean,
  context: Context,
): Promise<EventContent> {
  const start = reader.position;
  const stream = new EventStream(reader, HEADER_BYTES, header.length, hasChecksum);
  const content = await readLargeBody(header, stream, context);
  if (!(await stream.finish())) throw checksumMismatch(context.name, start);
  return content;
}

/** A transaction's events in one: the event itself, then those in it. */
async function* payloadEvents(
  stream: EventStream,
  context: Context,
  place: EventPlace,
): AsyncGenerator<BinlogEvent, void> {
  const head = decodePayloadHead(await stream.peek(PAYLOAD_HEAD_LIMIT));
  stream.take(head.offset);
  const { compression, uncompressedBytes } = head;
  yield { ...place, type: 'payload', compression, uncompressedBytes };
  const contents = await decompressed(stream, head);
  const inner = new ByteReader(contents.bytes);
  try {
    yield* eventsOf(inner, { ...context, tables: new Map() }, { ...place, isNested: true }, 'refuse');
  } finally {
    await inner.close();
  }
  await contents.finished;
  if (!(await stream.finish())) throw checksumMismatch(context.name, place.start);
}

function failureOf(error: unknown, name: string, start: number): unknown {
  if (error instanceof Malformed) return damaged(name, start, error.message);
  if (error instanceof EndOfBytes)
    return damaged(name, start, 'a compressed transaction that ends too early');
  const { code } = error as NodeJS.ErrnoException;
  const isCompression = typeof code === 'string' && /^(Z_|ZSTD_|ERR_ZSTD|ERR_BUFFER_TOO_LARGE)/.test(code);
  return isCompression ? damaged(name, start, 'what cannot be decompressed') : error;
}
