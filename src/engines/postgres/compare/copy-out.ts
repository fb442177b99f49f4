import type pg from 'pg';
import { type CopyToStreamQuery, to as copyTo } from 'pg-copy-streams';
import { dropConnection } from '../connection.ts';

/** What pg-copy-streams does with a chunk of the wire; false: the reader is behind. Fixed to its version 7. */
interface Parsing {
  _parse(chunk: Buffer): boolean | undefined;
}

const COPY_DATA = 0x64;
/** Bytes from which on to call for a copy costs less than to copy one after the other. */
const LONG = 64;
/** Messages that may stand between the rows: CopyOutResponse, ParameterStatus, NoticeResponse, NotificationResponse. */
const BETWEEN = new Set([0x48, 0x53, 0x4e, 0x41]);

/**
 * Rows of a `COPY … TO STDOUT` as a stream of whole lines. The server sends a message for each row, and for
 * rows as short as a key the generic reader's bookkeeping costs several times the comparison; here the rows of a
 * chunk are gathered in one loop, and all else is left to pg-copy-streams. Destroyed before its end it drops the
 * session: nobody would read what the server still has to send, and every later statement would wait behind it.
 */
export function copyOut(client: pg.Client, sql: string): CopyToStreamQuery {
  const stream = copyTo(sql, { highWaterMark: 1 << 18 });
  const parsing = stream as unknown as Parsing;
  const parse = parsing._parse.bind(stream);
  let carried: Buffer | null = null;
  let isOver = false;
  parsing._parse = (piece) => {
    const chunk = carried === null ? piece : Buffer.concat([carried, piece]);
    carried = null;
    // The rows move to the chunk's front, over the messages' heads that have been read: nobody else has the chunk.
    let filled = 0;
    let at = 0;
    let drained: boolean | undefined = true;
    const flush = () => {
      if (filled > 0) drained = stream.push(chunk.subarray(0, filled));
      filled = 0;
    };
    while (at < chunk.length) {
      const end = at + 5 <= chunk.length ? at + 1 + chunk.readUInt32BE(at + 1) : Number.POSITIVE_INFINITY;
      const code = chunk[at] as number;
      if (code !== COPY_DATA && !BETWEEN.has(code)) {
        flush();
        // The end, or an error: the rest belongs to node-postgres again.
        isOver = true;
        return parse(chunk.subarray(at));
      }
      if (end > chunk.length) {
        carried = chunk.subarray(at);
        break;
      }
      if (code === COPY_DATA && end - at > LONG) {
        chunk.copyWithin(filled, at + 5, end);
        filled += end - at - 5;
      } else if (code === COPY_DATA) {
        for (let from = at + 5; from < end; from += 1) chunk[filled++] = chunk[from] as number;
      } else parse(chunk.subarray(at, end));
      at = end;
    }
    flush();
    return drained;
  };
  stream._destroy = (error, done) => {
    if (!isOver) {
      // That the connection has ended is no news any more.
      stream.on('error', () => {});
      dropConnection(client);
    }
    done(error);
  };
  return client.query(stream);
}
