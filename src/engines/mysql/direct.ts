import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Connection } from './connection.ts';
import { placeOf } from './error.ts';

/**
 * Throws InvalidConfiguration where a pooler answers for the server. An import has locks, settings and temporary tables
 * of its session; a pooler that changes sessions under it (ProxySQL's multiplexing) would lose them, and leave them to
 * somebody else. A pooler greets with a number of its own.
 */
export function requireDirect(connection: Connection, access: ServerAccess): void {
  if (connection.id !== '') return;
  throw new HoldfastError(
    'InvalidConfiguration',
    `${placeOf(access)} is a connection pooler, not the server itself`,
    {
      hint: "name the server's own address and port in connection.host and connection.port of the configuration",
    },
  );
}
