import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { withConnection } from './connection.ts';

/**
 * Engine.assertSql: whether the first column of the query's one row is true. Null: it gave no such row. Read-only.
 * A query that takes longer than the limit throws, as one that the server refuses.
 */
export async function assertSql(
  access: ServerAccess,
  sql: string,
  options: { timeoutMs: number },
  run: Run,
): Promise<boolean | null> {
  const session = {
    ...{ signal: run.signal, applicationName: 'health', readOnly: true },
    statementTimeoutMs: options.timeoutMs,
  };
  return withConnection(access, session, async (client) => {
    // As an application would write it: names without a schema are looked for where they usually are.
    await client.query("SELECT pg_catalog.set_config('search_path', 'public', false)");
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' }).catch(explain);
    const value = rows.length === 1 ? rows[0]?.[0] : undefined;
    return typeof value === 'boolean' ? value : null;
  });
}

/** What is wrong with the query itself is told: it names no more than the query does. */
function explain(error: unknown): never {
  const { code = '', message } = error as { code?: string; message: string };
  if (code === '57014')
    throw new HoldfastError('CheckFailed', 'it was not answered in time', { cause: error });
  if (code.startsWith('42')) throw new HoldfastError('CheckFailed', message, { cause: error });
  throw error;
}
