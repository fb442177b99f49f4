import type { Run } from '../../../model/progress.ts';
import type { ExamineInput, ServerExamination } from '../../contract/examine.ts';
import { withConnection } from '../connection.ts';
import { examineArchive } from './archive.ts';
import { examinePages } from './pages.ts';
import { examineRights } from './rights.ts';

const STATEMENT_TIMEOUT_MS = 15_000;

/** Engine.examine: what backups, the log watch and checks need of this server. Reads only. */
export async function examine(input: ExamineInput, run: Run): Promise<ServerExamination> {
  const session = {
    signal: run.signal,
    applicationName: 'doctor',
    readOnly: true,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
  return withConnection(input.access, session, async (client) => {
    const { rows } = await client.query<{ version: string; major: number; at: Date; standby: boolean }>(
      `SELECT pg_catalog.current_setting('server_version') AS version,
         pg_catalog.current_setting('server_version_num')::int / 10000 AS major,
         pg_catalog.clock_timestamp() AS at, pg_catalog.pg_is_in_recovery() AS standby`,
    );
    const [{ version, major, at, standby }] = rows as [(typeof rows)[0]];
    const server = version.split(' ')[0] as string;
    return {
      version: server,
      at: new Date(at).toISOString(),
      lines: [
        {
          what: 'server',
          ok: !standby,
          detail: standby ? `PostgreSQL ${server} is a standby` : `PostgreSQL ${server} is a primary`,
          hint: standby ? 'name the primary in connection.host' : null,
        },
        ...(await examineRights(client, { ...input, major })),
        ...(input.maxAgeMs === null ? [] : await examineArchive(client, input.maxAgeMs)),
        await examinePages(client),
      ],
    };
  });
}
