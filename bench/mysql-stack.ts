import { setTimeout as sleep } from 'node:timers/promises';
import { ADMIN } from '../src/client/dev/mysql-accounts.ts';
import { accessOf } from '../src/client/dev/mysql-sample.ts';
import { type Connection, connect, withConnection } from '../src/engines/mysql/connection.ts';
import { programsForDump } from '../src/engines/mysql/dump-programs.ts';
import { writeOptionFile } from '../src/engines/mysql/option-file.ts';
import { runTool } from '../src/engines/process.ts';
import type { ServerAccess } from '../src/model/access.ts';
import { type BenchShop, type BenchStack, type StackOptions, withStackOf } from './stack.ts';

export type MysqlStack = BenchStack<Connection>;

const SERIES = 800;
/** To leave the load of the data out of the logs, and to let the server come to rest. */
const GRANT = `SET sql_log_bin = 0; GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO ${ADMIN}@'%'`;

const shop: BenchShop<Connection> = {
  kind: 'mysql',
  async open(url) {
    const run = { signal: new AbortController().signal };
    const access = accessOf(url);
    await asRoot(access, GRANT, run);
    return connect(access, run, { applicationName: 'bench' });
  },
  close: (session) => session.close(),
  plain: () => ({}),
};

/** The server lets its administrator in by its socket alone. */
async function asRoot(access: ServerAccess, statements: string, run: { signal: AbortSignal }): Promise<void> {
  const [row] = await withConnection(access, run, (session) =>
    session.query<{ socket: string }>('SELECT @@socket AS socket'),
  );
  const { client, flavour } = await programsForDump(SERIES);
  const host = (row as { socket: string }).socket;
  const options = await writeOptionFile({ ...access, host, user: 'root' }, flavour);
  try {
    await runTool(client, [options.argument, '--execute', statements], run);
  } finally {
    await options.remove();
  }
}

/** The whole stack with a MySQL 8.0 whose binary logs are shipped; see {@link withStackOf}. */
export const withMysqlStack = <T>(
  options: StackOptions,
  work: (stack: MysqlStack) => Promise<T>,
): Promise<T> => withStackOf(shop, options, work);

/** More of the undo log than this is left from what was done before. */
const MOST_HISTORY = 100;
const MOST_DIRTY_PAGES = 100;

/** Lets the purge, the page cleaner and the disk come to rest, so that a run does not pay for the one before. */
export async function settle({ production }: MysqlStack, signal: AbortSignal): Promise<void> {
  await production.query('SET GLOBAL innodb_max_dirty_pages_pct = 0');
  try {
    for (;;) {
      const [row] = await production.query<{ history: string; dirty: string }>(
        `SELECT (SELECT CAST(count AS CHAR) FROM information_schema.innodb_metrics
                  WHERE name = 'trx_rseg_history_len') AS history,
                (SELECT variable_value FROM performance_schema.global_status
                  WHERE variable_name = 'Innodb_buffer_pool_pages_dirty') AS dirty`,
      );
      if (Number(row?.history) <= MOST_HISTORY && Number(row?.dirty) <= MOST_DIRTY_PAGES) break;
      await sleep(200, undefined, { signal });
    }
  } finally {
    await production.query('SET GLOBAL innodb_max_dirty_pages_pct = 90');
  }
  await runTool('sync', [], { signal });
}
