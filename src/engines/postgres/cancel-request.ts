import { connect } from 'node:net';
import type { ServerAccess } from '../../model/access.ts';

/** Source: PostgreSQL's documentation, "Message Formats", CancelRequest. */
const CANCEL_REQUEST_CODE = 80_877_102;
const PATIENCE_MS = 5_000;

/**
 * Asks the server to end what a session runs now. Without it a server that waits for a lock notices a vanished
 * client only after the lock's time limit, and keeps others waiting behind it; PostgreSQL 13 finishes even a count
 * of hours. Best effort, never throws: the key that the request carries serves for nothing else, so like libpq's
 * it goes without TLS.
 */
export function requestCancel(
  { host, port }: Pick<ServerAccess, 'host' | 'port'>,
  session: { processID: number; secretKey: number },
): void {
  const message = Buffer.alloc(16);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  message.writeInt32BE(session.processID, 8);
  message.writeInt32BE(session.secretKey, 12);
  const place = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
  const socket = connect(place);
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.once('error', () => {});
  socket.once('connect', () => socket.end(message));
}
