import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { ServerFacts } from '../contract/backup.ts';
import { type Connection, withConnection } from './connection.ts';
import { quoteLiteral } from './identifier.ts';
import { identityExpression } from './identity.ts';

/** What a server has of itself: never dumped, counted or restored as a db. */
export const SYSTEM_DATABASES = ['information_schema', 'mysql', 'ndbinfo', 'performance_schema', 'sys'];

/** Engine.inspect: version, identity and sizes. Reads only. */
export async function inspect(access: ServerAccess, run: Run): Promise<ServerFacts> {
  const session = { applicationName: 'inspect', readOnly: true, statementTimeoutMs: 60_000 };
  return withConnection(access, run, readFacts, session);
}

export async function readFacts(connection: Connection): Promise<ServerFacts> {
  const { version, series } = connection.server;
  const systemIdentifier = await readIdentity(connection);
  // The length of what the engines have allocated, as they estimate it; a table that is broken has none.
  const rows = await connection.query<{ name: string; bytes: string }>(
    `SELECT s.schema_name AS name,
            CAST(COALESCE(SUM(t.data_length + t.index_length), 0) AS CHAR) AS bytes
       FROM information_schema.schemata s
       LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name AND t.table_type <> 'VIEW'
      WHERE s.schema_name NOT IN (${['information_schema', 'performance_schema'].map(quoteLiteral).join(', ')})
      GROUP BY s.schema_name ORDER BY s.schema_name`,
  );
  const sizes = rows.map(({ name, bytes }) => ({ name, bytes: Number(bytes) }));
  return {
    version,
    major: series,
    systemIdentifier,
    totalBytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    databases: sizes.filter(({ name }) => !SYSTEM_DATABASES.includes(name.toLowerCase())),
  };
}

/** Which server answers, by the rule of identity.ts. Throws PermissionDenied where the user may not see it. */
export async function readIdentity(connection: Connection): Promise<string> {
  const expression = identityExpression(connection.server.flavour);
  const [row] = await connection.query<{ id: string | null }>(`SELECT ${expression} AS id`);
  return requireIdentity(row?.id ?? null);
}

export function requireIdentity(id: string | null): string {
  if (id !== null && id !== '') return id;
  throw new HoldfastError('PermissionDenied', 'the user may not see when the server was made', {
    hint: 'grant it SELECT on mysql.*: that is how one MariaDB server is told from another',
  });
}
