import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { withConnection } from './connection.ts';
import { ServerRefusal } from './error.ts';

const TIMED_OUT = [3024, 1969];

/**
 * Engine.assertSql: whether the first column of the query's one row is true, which is 1 here; false is 0. Null: it gave no
 * such row. Read-only. A query that takes longer than the limit throws, as one that the server refuses.
 */
export async function assertSql(
  access: ServerAccess,
  sql: string,
  options: { timeoutMs: number },
  run: Run,
): Promise<boolean | null> {
  const session = { applicationName: 'health', readOnly: true, statementTimeoutMs: options.timeoutMs };
  return withConnection(
    access,
    run,
    async (connection) => {
      const rows = await connection.query<Record<string, unknown>>(sql).catch(explain);
      const value = rows.length === 1 ? Object.values(rows[0] ?? {})[0] : undefined;
      const truth = value === undefined || value === null ? '' : String(value);
      return truth === '1' ? true : truth === '0' ? false : null;
    },
    session,
  );
}

/** What is wrong with the query itself. */
function explain(error: unknown): never {
  const cause = error instanceof HoldfastError ? error.cause : undefined;
  if (!(cause instanceof ServerRefusal)) throw error;
  if (TIMED_OUT.includes(cause.errno)) {
    throw new HoldfastError('CheckFailed', 'it was not answered in time', { cause: error });
  }
  const { message } = error as HoldfastError;
  if (cause.sqlState.startsWith('42')) throw new HoldfastError('CheckFailed', message, { cause: error });
  throw error;
}
