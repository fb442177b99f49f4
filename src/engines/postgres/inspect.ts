import type pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import type { Run } from '../../model/progress.ts';
import type { ServerFacts } from '../contract/backup.ts';
import { withConnection } from './connection.ts';

/** Engine.inspect: version, identity and sizes. Reads only. */
export async function inspect(access: ServerAccess, run: Run): Promise<ServerFacts> {
  const session = {
    signal: run.signal,
    applicationName: 'inspect',
    readOnly: true,
    statementTimeoutMs: 60_000,
  };
  return withConnection(access, session, readFacts);
}

export async function readFacts(client: pg.ClientBase): Promise<ServerFacts> {
  const server = await client.query<{ version: string; number: number; identifier: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
            (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS identifier`,
  );
  const [facts] = server.rows as [{ version: string; number: number; identifier: string }];
  const { rows } = await client.query<{ name: string; bytes: string; template: boolean }>(
    `SELECT datname AS name, datistemplate OR NOT datallowconn AS template,
            CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                 THEN pg_catalog.pg_database_size(oid) ELSE 0 END AS bytes
       FROM pg_catalog.pg_database ORDER BY datname`,
  );
  const sizes = rows.map(({ name, bytes, template }) => ({ name, bytes: Number(bytes), template }));
  return {
    version: (facts.version.split(' ')[0] ?? facts.version) as string,
    major: Math.floor(facts.number / 10_000),
    systemIdentifier: facts.identifier,
    totalBytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    databases: sizes.filter(({ template }) => !template).map(({ name, bytes }) => ({ name, bytes })),
  };
}
