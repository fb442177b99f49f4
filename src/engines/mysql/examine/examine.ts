import type { Run } from '../../../model/progress.ts';
import type { Examined, ExamineInput, ServerExamination } from '../../contract/examine.ts';
import { type Connection, withConnection } from '../connection.ts';
import { describeSeries } from '../flavour.ts';
import { examineLogs } from './logs.ts';
import { examineRights } from './rights.ts';
import { type Settings, settingsOf } from './settings.ts';
import { examineTables } from './tables.ts';

const STATEMENT_TIMEOUT_MS = 15_000;

/** Engine.examine: what backups, the shipping of logs and checks need of this server. Reads only. */
export async function examine(input: ExamineInput, run: Run): Promise<ServerExamination> {
  const session = { applicationName: 'doctor', readOnly: true, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  return withConnection(
    input.access,
    run,
    async (connection) => {
      const settings = await settingsOf(connection);
      const [clock] = await connection.query<{ at: string }>(
        "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ') AS at",
      );
      return {
        version: connection.server.version,
        at: clock?.at ?? '',
        lines: [
          describeServer(connection, settings),
          ...(await examineRights(connection, settings, input)),
          ...(input.maxAgeMs === null ? [] : examineLogs(connection.server, settings, input)),
          ...(await examineTables(connection, settings)),
        ],
      };
    },
    session,
  );
}

/** What comes back into production is written there: a server that takes no writes is the wrong one. */
function describeServer({ server }: Connection, settings: Settings): Examined {
  const name = `${describeSeries(server.series)} (${server.version})`;
  const closed = ['super_read_only', 'read_only'].find((each) => settings.isOn(each));
  return closed === undefined
    ? { what: 'server', ok: true, detail: `${name} takes writes`, hint: null }
    : {
        what: 'server',
        ok: false,
        detail: `${name} takes no writes: ${closed} is on`,
        hint: 'name the primary in connection.host: rows are brought back into it',
      };
}
