import { formatNameParts } from '../../../model/table.ts';
import type { Examined } from '../../contract/examine.ts';
import type { Connection } from '../connection.ts';
import { quoteLiteral, quoteTable } from '../identifier.ts';
import { SYSTEM_DATABASES } from '../inspect.ts';
import type { Settings } from './settings.ts';

const SHOWN = 5;

/** Tables that a snapshot does not hold still, and what the server does by itself. */
export async function examineTables(connection: Connection, settings: Settings): Promise<Examined[]> {
  return [await transactional(connection), await events(connection, settings)];
}

/** What is not transactional is in a dump as it is when its turn comes, and a rollback leaves it. */
async function transactional(connection: Connection): Promise<Examined> {
  const rows = await connection.query<{ db: string; name: string; engine: string }>(
    `SELECT t.table_schema AS db, t.table_name AS name, t.engine AS engine
       FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine
      WHERE t.table_type NOT IN ('VIEW', 'SYSTEM VIEW', 'TEMPORARY') AND COALESCE(e.transactions, 'NO') <> 'YES'
        AND t.table_schema NOT IN (${SYSTEM_DATABASES.map(quoteLiteral).join(', ')})
      ORDER BY t.table_schema, t.table_name`,
  );
  const [first] = rows;
  if (first === undefined) {
    return { what: 'tables', ok: true, detail: 'all of them are transactional', hint: null };
  }
  const names = rows
    .slice(0, SHOWN)
    .map(({ db, name, engine }) => `${formatNameParts([db, name])} (${engine})`);
  const more = rows.length > SHOWN ? ` and ${rows.length - SHOWN} more` : '';
  const hint = `ALTER TABLE ${quoteTable([first.db, first.name])} ENGINE = InnoDB; and the others`;
  return {
    what: 'tables',
    ok: false,
    detail: `${names.join(', ')}${more}: not transactional, and so not of the moment of a backup`,
    hint: rows.length === 1 ? hint.replace('; and the others', '') : hint,
  };
}

async function events(connection: Connection, settings: Settings): Promise<Examined> {
  const [found] = await connection.query<{ count: string }>(
    "SELECT COUNT(*) AS count FROM information_schema.events WHERE status = 'ENABLED'",
  );
  const count = Number(found?.count ?? 0);
  const runs = settings.isOn('event_scheduler');
  const detail =
    count === 0
      ? 'there are none'
      : `${count} enabled, and event_scheduler is ${runs ? 'on' : 'off'}: restored servers run none`;
  return { what: 'events', ok: true, detail, hint: null };
}
