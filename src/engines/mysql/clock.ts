import type { Connection } from './connection.ts';

/** The server's clock, ISO 8601 in milliseconds: sessions may set their own `timestamp`, ours does not. */
export async function readClock(connection: Connection): Promise<string> {
  const [row] = await connection.query<{ at: string }>(
    "SELECT DATE_FORMAT(UTC_TIMESTAMP(3), '%Y-%m-%dT%H:%i:%s.%f') AS at",
  );
  if (row === undefined) throw new TypeError('the server has no clock');
  return `${row.at.slice(0, 23)}Z`;
}
