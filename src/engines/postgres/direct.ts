import type pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';

/**
 * Throws InvalidConfiguration where a pooler answers for the server. An import has a lock, settings and temporary
 * tables of its session; a pooler that changes sessions under it (PgBouncer's transaction mode) would lose them,
 * and leave them to somebody else. A pooler names a process of its own when a session opens.
 */
export async function requireDirect(client: pg.Client, access: ServerAccess): Promise<void> {
  const { processID } = client as unknown as { processID: number | null };
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  if (processID === null || rows[0]?.pid === processID) return;
  throw new HoldfastError(
    'InvalidConfiguration',
    `${access.host}:${access.port} is a connection pooler, not PostgreSQL itself`,
    {
      hint: "name the server's own address and port in connection.host and connection.port of the configuration",
    },
  );
}
