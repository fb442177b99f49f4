import { formatNameParts } from '../../model/table.ts';
import type { Connection } from './connection.ts';
import { quoteLiteral } from './identifier.ts';

const NAMED = 5;

/** What a plan that uses a dump of these dbs has to say. Reads only; what the user may not see is left out. */
export async function dumpNotices(connection: Connection, dbs: readonly string[]): Promise<string[]> {
  if (dbs.length === 0) return [];
  const within = dbs.map(quoteLiteral).join(', ');
  const names = async (sql: string) =>
    (await connection.query<{ db: string; name: string }>(sql)).map(({ db, name }) =>
      formatNameParts([db, name]),
    );
  const notices: string[] = [];
  const floats = await names(
    `SELECT DISTINCT TABLE_SCHEMA AS db, TABLE_NAME AS name FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA IN (${within}) AND DATA_TYPE = 'float' AND COLUMN_TYPE NOT LIKE 'float(%' ORDER BY 1, 2`,
  );
  if (floats.length > 0) {
    notices.push(
      `FLOAT columns are dumped, counted and compared with six digits, as the server prints them: ${listed(floats)}`,
    );
  }
  const versioned = await names(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name FROM information_schema.TABLES
      WHERE TABLE_SCHEMA IN (${within}) AND TABLE_TYPE = 'SYSTEM VERSIONED' ORDER BY 1, 2`,
  );
  if (versioned.length > 0) {
    notices.push(`the history of system-versioned tables is not in the dump: ${listed(versioned)}`);
  }
  const events = await names(
    `SELECT EVENT_SCHEMA AS db, EVENT_NAME AS name FROM information_schema.EVENTS
      WHERE EVENT_SCHEMA IN (${within}) ORDER BY 1, 2`,
  );
  if (events.length > 0) {
    notices.push(`events run on a restored server too unless its event_scheduler is OFF: ${listed(events)}`);
  }
  notices.push(...(await serverNotices(connection)));
  return notices;
}

async function serverNotices(connection: Connection): Promise<string[]> {
  const notices: string[] = [];
  const [{ letters } = { letters: '0' }] = await connection.query<{ letters: string }>(
    'SELECT @@GLOBAL.lower_case_table_names AS letters',
  );
  if (Number(letters) !== 0) {
    notices.push(`a restored server needs lower_case_table_names = ${letters}, which is set when it is made`);
  }
  const zones = await countIn(connection, 'mysql.time_zone_name');
  if (zones > 0) {
    notices.push(
      'the server knows time zones by name; they are not in the backup: mysql_tzinfo_to_sql /usr/share/zoneinfo makes them',
    );
  }
  const functions = await countIn(connection, 'mysql.func');
  if (functions > 0)
    notices.push(
      `${functions} loadable functions are not in the backup: install them (CREATE FUNCTION … SONAME)`,
    );
  const servers = await countIn(connection, 'mysql.servers');
  if (servers > 0)
    notices.push(`${servers} foreign servers are not in the backup: make them again (CREATE SERVER)`);
  return notices;
}

async function countIn(connection: Connection, table: string): Promise<number> {
  try {
    const [row] = await connection.query<{ n: string }>(`SELECT COUNT(*) AS n FROM ${table}`);
    return Number(row?.n ?? 0);
  } catch (error) {
    if ((error as { type?: string }).type === 'PermissionDenied') return 0;
    throw error;
  }
}

function listed(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return `${names.slice(0, NAMED).join(', ')}${more}`;
}
