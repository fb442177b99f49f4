import type { Connection as Driver } from 'mysql2';

/** A row as the server wrote it: the bytes of each value as text, null for NULL. */
export type Row = (Buffer | null)[];

/** So much is read ahead of the consumer at most, beside one row. */
const AHEAD_BYTES = 1024 * 1024;

/**
 * The rows of a query as they arrive. The server is made to wait while the consumer is busy, so memory does not grow
 * with the table. Not the driver's own stream: that never ends when the connection is lost, and counts rows, not bytes.
 */
export async function* streamRows(driver: Driver, sql: string): AsyncGenerator<Row, void, void> {
  const rows: Row[] = [];
  let ahead = 0;
  let finished = false;
  let failure: Error | null = null;
  let wake = () => {};
  const end = (error?: Error) => {
    if (finished) return;
    finished = true;
    failure = error ?? null;
    wake();
  };
  const query = driver.query({ sql, rowsAsArray: true, typeCast: false } as unknown as { sql: string });
  query.on('result', (row: unknown) => {
    // A statement without rows reports its outcome instead.
    if (!Array.isArray(row)) return;
    rows.push(row as Row);
    ahead += sizeOf(row as Row);
    if (ahead > AHEAD_BYTES) driver.pause();
    wake();
  });
  query.on('error', end);
  query.on('end', () => end());
  driver.on('error', end);
  try {
    while (true) {
      if (rows.length === 0) {
        if (failure !== null) throw failure;
        if (finished) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const taken = rows.splice(0);
      ahead = 0;
      if (!finished) driver.resume();
      yield* taken;
    }
  } finally {
    driver.removeListener('error', end);
  }
}

function sizeOf(row: Row): number {
  let bytes = 64;
  for (const value of row) bytes += value === null ? 8 : value.length + 96;
  return bytes;
}
