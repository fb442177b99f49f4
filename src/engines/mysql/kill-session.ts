import type { ServerAccess } from '../../model/access.ts';
import { openDriver } from './driver.ts';

const PATIENCE_MS = 5_000;

/** A session as another one of the same user can name it. */
export interface SessionName {
  /** its number at the server; empty where a pooler answers, which has numbers of its own */
  id: string;
  /** tells servers behind one address apart */
  server: string;
}

/** What tells a server from the others that may stand behind one address. */
export const SERVER_MARK = "CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)";

/**
 * Ends a session and what it runs. A server notices that its client has gone only when it sends a row, so a count of
 * hours or a wait for a lock would go on. Anybody may kill the sessions of the own user. Best effort, never throws; not
 * tried where the number could mean a stranger's session: through a pooler, or when another server answers now.
 */
export async function killSession(access: ServerAccess, session: SessionName): Promise<void> {
  if (session.id === '') return;
  const driver = openDriver(access, { connectTimeoutMs: PATIENCE_MS, program: 'kill' });
  const forced = setTimeout(() => driver.drop(), PATIENCE_MS);
  try {
    await driver.ready;
    const [row] = await driver.rows<{ mark: string }>(`SELECT ${SERVER_MARK} AS mark`);
    if (row?.mark === session.server) await driver.rows(`KILL CONNECTION ${BigInt(session.id)}`);
  } catch {
    // It ended in the meantime, or the server did.
  } finally {
    clearTimeout(forced);
    await driver.end();
  }
}
