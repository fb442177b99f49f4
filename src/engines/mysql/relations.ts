import type { ServerAccess } from '../../model/access.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts } from '../../model/table.ts';
import type { KnownRelations } from '../contract/read.ts';
import { readClock } from './clock.ts';
import { withConnection } from './connection.ts';
import { quoteLiteral } from './identifier.ts';
import { SYSTEM_DATABASES } from './inspect.ts';

/**
 * Engine.listRelations: every table by its name alone, so that one that was dropped since can be named. Where it lies
 * nobody has to know: the server's logs name tables themselves.
 */
export async function listRelations(
  access: ServerAccess,
  run: Run,
  databases?: readonly string[],
): Promise<KnownRelations> {
  const among =
    databases === undefined
      ? `NOT IN (${SYSTEM_DATABASES.map(quoteLiteral).join(', ')})`
      : `IN (${['', ...databases].map(quoteLiteral).join(', ')})`;
  return withConnection(
    access,
    run,
    async (connection) => {
      const rows = await connection.query<{ db: string; name: string }>(
        `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name FROM information_schema.TABLES
          WHERE TABLE_SCHEMA ${among} AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')
          ORDER BY TABLE_SCHEMA, TABLE_NAME`,
      );
      const at = await readClock(connection);
      const relations = rows.map(({ db, name }) => ({
        ...{ db, table: formatNameParts([db, name]), node: '', oid: '', at },
      }));
      return { relations, refused: [] };
    },
    { applicationName: 'relations', readOnly: true, statementTimeoutMs: 60_000 },
  );
}
