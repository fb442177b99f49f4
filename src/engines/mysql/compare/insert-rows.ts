import { HoldfastError } from '../../../model/failure.ts';
import type { Connection } from '../connection.ts';

const BATCH_BYTES = 1 << 20;
const BATCH_ROWS = 5_000;
/** What a statement has around its rows. */
const ROOM_BYTES = 16 * 1024;
/** So many digits of a value go into a variable. */
const LONG_DIGITS = 16 * 1024;

interface InsertOptions {
  verb?: 'INSERT' | 'REPLACE';
  after?: string;
  done?: (rows: number) => void;
}

/**
 * Inserts rows, each a text like `(1,_binary 0x41)`, in statements of a bounded size; how many there were. `after` stands
 * behind the rows, as ON DUPLICATE KEY UPDATE. Throws NotSupported for a row beyond the server's max_allowed_packet,
 * which none of its clients could have written.
 */
export async function insertRows(
  session: Connection,
  into: string,
  rows: AsyncIterable<string>,
  { verb = 'INSERT', after = '', done = () => {} }: InsertOptions = {},
): Promise<number> {
  const [limits] = await session.query<{ bytes: string }>('SELECT @@max_allowed_packet AS bytes');
  const largest = Number(limits?.bytes) - ROOM_BYTES;
  let batch: string[] = [];
  let bytes = 0;
  let total = 0;
  let running: Promise<unknown> = Promise.resolve();
  // One statement is under way while the rows of the next are read.
  const flush = async () => {
    await running;
    done(total);
    if (batch.length === 0) return;
    total += batch.length;
    running = session.execute(`${verb} INTO ${into} VALUES ${batch.join(',')} ${after}`);
    running.catch(() => {});
    batch = [];
    bytes = 0;
  };
  for await (const row of rows) {
    if (row.length > largest) {
      await flush();
      await running;
      await insertLong(session, (values) => `${verb} INTO ${into} VALUES ${values} ${after}`, row, largest);
      total += 1;
      continue;
    }
    if (bytes + row.length > Math.min(BATCH_BYTES, largest) || batch.length >= BATCH_ROWS) await flush();
    batch.push(row);
    bytes += row.length + 1;
  }
  await flush();
  await flush();
  return total;
}

/**
 * A row whose literals are too long for a statement, though its values are not: in hexadecimal they are twice as long. Its
 * values come in pieces, into variables of the session.
 */
async function insertLong(
  session: Connection,
  statement: (values: string) => string,
  row: string,
  largest: number,
): Promise<void> {
  const { values, long } = withoutLong(row);
  if (values.length > largest) throw tooLong();
  const piece = Math.floor(Math.min(BATCH_BYTES, largest - ROOM_BYTES) / 2) * 2;
  for (const [index, digits] of long.entries()) {
    const name = `@holdfast_value_${index}`;
    await session.execute(`SET ${name} = _binary ''`);
    for (let at = 0; at < digits.length; at += piece) {
      const { warnings } = await session.execute(
        `SET ${name} = CONCAT(${name}, _binary 0x${digits.slice(at, at + piece)})`,
      );
      // Beyond max_allowed_packet a CONCAT is NULL, with a warning.
      if (warnings > 0) throw tooLong();
    }
  }
  await session.execute(statement(values));
  for (const index of long.keys()) await session.execute(`SET @holdfast_value_${index} = NULL`);
}

/** The row with variables in place of its long literals, and the digits of these. A pattern would be too deep for them. */
function withoutLong(row: string): { values: string; long: string[] } {
  const long: string[] = [];
  let values = '';
  let from = 0;
  for (const { index, 0: start, 1: charset } of row.matchAll(/_(binary|utf8mb4) 0x/g)) {
    const first = index + start.length;
    const ends = [row.indexOf(',', first), row.indexOf(')', first)].filter((at) => at >= 0);
    const end = Math.min(...ends);
    if (end - first < LONG_DIGITS) continue;
    const name = `@holdfast_value_${long.length}`;
    values += row.slice(from, index) + (charset === 'binary' ? name : `CONVERT(${name} USING ${charset})`);
    long.push(row.slice(first, end));
    from = end;
  }
  return { values: values + row.slice(from), long };
}

function tooLong(): HoldfastError {
  return new HoldfastError('NotSupported', 'a row is too long for one statement', {
    hint: 'raise max_allowed_packet above the length of the longest row: SET GLOBAL max_allowed_packet, in production and for the restored copy',
  });
}
