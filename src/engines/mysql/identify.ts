import type { ServerAccess } from '../../model/access.ts';
import type { Run } from '../../model/progress.ts';
import { withConnection } from './connection.ts';
import { readIdentity } from './inspect.ts';

/** Engine.identify. MySQL has no timelines: a server that took over is told by its identity. */
export async function identify(
  access: ServerAccess,
  run: Run,
): Promise<{ systemIdentifier: string; timeline: number; writable: boolean }> {
  return withConnection(
    access,
    run,
    async (connection) => {
      const systemIdentifier = await readIdentity(connection);
      // Whoever may set it may unset it; a replica that is open to writes is writable.
      const [row] = await connection.query<{ closed: number | string }>(
        'SELECT @@GLOBAL.read_only AS closed',
      );
      return { systemIdentifier, timeline: 1, writable: Number(row?.closed) === 0 };
    },
    { applicationName: 'identify', readOnly: true, statementTimeoutMs: 30_000 },
  );
}
