import type { ServerMark } from '../../contract/change.ts';
import type { Connection } from '../connection.ts';
import { showBinlogStatus } from '../flavour.ts';
import { identityExpression } from '../identity.ts';

/** Where this server is now: `binlog.000004:1234`, empty without a binary log. There are no timelines: always 1. */
export async function markServer(session: Connection): Promise<ServerMark> {
  const [row] = await session.query<{ id: string | null }>(
    `SELECT ${identityExpression(session.server.flavour)} AS id`,
  );
  const status = await session
    .query<{ File: string; Position: string | number }>(showBinlogStatus(session.server))
    .catch(() => []);
  const [at] = status;
  return {
    systemIdentifier: row?.id ?? '',
    timeline: 1,
    lsn: at === undefined ? '' : `${at.File}:${at.Position}`,
  };
}
