import { Readable } from 'node:stream';
import { createInflate } from 'node:zlib';
import { type Context, countOrNull, otherOf, rowsOf, tableOf } from './decode-body.ts';
import type { EventContent, RowsContent } from './event.ts';
import { CODE, type RowsForm, rowsFormOf } from './event-code.ts';
import type { EventStream } from './event-stream.ts';
import { Fields } from './fields.ts';
import type { EventHeader } from './header.ts';
import { decodePart, PART_HEAD_LIMIT } from './mariadb-compression.ts';
import { decodeQueryHead, QUERY_HEAD_LIMIT, queryOf } from './query-event.ts';
import { RowCounter } from './row-counter.ts';
import { decodeRowsHead, decodeRowsShape } from './rows-event.ts';

/** Before the rows: the head, up to 64 KiB of additions, two bitmaps of 4096 columns. */
const ROWS_HEAD_LIMIT = 80 * 1024;

/** Reads an event in pieces; what it leaves is passed over by the caller. Throws Malformed, EndOfBytes. */
export async function readLargeBody(
  header: EventHeader,
  stream: EventStream,
  context: Context,
): Promise<EventContent> {
  const { code } = header;
  const form = rowsFormOf(code);
  if (form !== undefined) return readRows(stream, form, context);
  if (code === CODE.query || code === CODE.executeLoadQuery || code === CODE.mariadbQueryCompressed) {
    return readQuery(stream, code, context);
  }
  return otherOf(code);
}

async function readQuery(stream: EventStream, code: number, { sqlLimit }: Context): Promise<EventContent> {
  const head = decodeQueryHead(await stream.peek(QUERY_HEAD_LIMIT), code === CODE.executeLoadQuery);
  stream.take(head.sqlOffset);
  if (code !== CODE.mariadbQueryCompressed) {
    const isCut = stream.left > sqlLimit;
    return queryOf(head, Buffer.from(await stream.peek(sqlLimit)), isCut);
  }
  const { contentBytes } = await partHead(stream);
  const kept: Buffer[] = [];
  let length = 0;
  for await (const piece of inflated(stream)) {
    if (length < sqlLimit) kept.push(piece);
    length += piece.length;
  }
  return queryOf(head, Buffer.concat(kept).subarray(0, sqlLimit), contentBytes > sqlLimit);
}

async function readRows(stream: EventStream, form: RowsForm, context: Context): Promise<RowsContent> {
  const bytes = await stream.peek(ROWS_HEAD_LIMIT);
  const head = decodeRowsHead(bytes);
  const map = tableOf(head, context);
  if (map === null) return rowsOf(head, form, null, 0);
  const fields = new Fields(bytes);
  const shape = decodeRowsShape(fields, form);
  stream.take(bytes.length - fields.left);
  const counter = RowCounter.of(shape, map.columns, form.isPartial);
  if (counter === null) return rowsOf(head, form, map, null);
  if (form.isCompressed) await partHead(stream);
  for await (const piece of form.isCompressed ? inflated(stream) : stream.pieces()) counter.push(piece);
  return rowsOf(
    head,
    form,
    map,
    countOrNull(context, () => counter.end()),
  );
}

async function partHead(stream: EventStream): Promise<ReturnType<typeof decodePart>> {
  const part = decodePart(await stream.peek(PART_HEAD_LIMIT));
  stream.take(part.headBytes);
  return part;
}

/** The rest of the event, decompressed. */
function inflated(stream: EventStream): AsyncIterable<Buffer> {
  return Readable.from(stream.pieces(), { objectMode: false }).compose(createInflate());
}
