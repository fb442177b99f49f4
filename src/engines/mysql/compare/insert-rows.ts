import { HoldfastError } from '../../../model/failure.ts';
import type { Connection } from '../connection.ts';

const BATCH_BYTES = 1 << 20;
const BATCH_ROWS = 5_000;
/** What a statement has around its rows. */
const ROOM_BYTES = 16 * 1024;

interface InsertOptions {
  verb?: 'INSERT' | 'REPLACE';
  after?: string;
  done?: (rows: number) => void;
}

/**
 * Inserts rows, each a text like `(1,_binary 0x41)`, in statements of a bounded size; how many there were. `after` stands
 * behind the rows, as ON DUPLICATE KEY UPDATE. Throws NotSupported for a row beyond the server's max_allowed_packet.
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
    if (row.length > largest) throw tooLong();
    if (bytes + row.length > Math.min(BATCH_BYTES, largest) || batch.length >= BATCH_ROWS) await flush();
    batch.push(row);
    bytes += row.length + 1;
  }
  await flush();
  await flush();
  return total;
}

function tooLong(): HoldfastError {
  return new HoldfastError('NotSupported', 'a row is too long for one statement', {
    hint: 'raise max_allowed_packet to more than twice the length of the longest row: SET GLOBAL max_allowed_packet, in production and for the restored copy',
  });
}
