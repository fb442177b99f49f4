import { setTimeout as sleep } from 'node:timers/promises';
import { accessOf } from '../src/client/dev/mysql-sample.ts';
import { type Connection, connect, withConnection } from '../src/engines/mysql/connection.ts';
import { quoteLiteral } from '../src/engines/mysql/identifier.ts';
import { writeOptionFile } from '../src/engines/mysql/option-file.ts';
import { dumpPrograms } from '../src/engines/mysql/programs.ts';
import { runTool } from '../src/engines/process.ts';
import type { ServerAccess } from '../src/model/access.ts';
import { type BenchShop, type BenchStack, type StackOptions, withStackOf } from './stack.ts';

export type MysqlStack = BenchStack<Connection>;

const SERIES = 800;
/** Makes the data and the traffic, which Holdfast's own user may not. */
const BENCH = 'bench';

const shop: BenchShop<Connection> = {
  kind: 'mysql',
  async open(url) {
    const run = { signal: new AbortController().signal };
    await asRoot(accessOf(url), makeUser(benchAccess(url)), run);
    return connect(benchAccess(url), run, { applicationName: 'bench' });
  },
  close: (session) => session.close(),
  plain: () => ({}),
};

export const benchAccess = (url: string): ServerAccess => ({ ...accessOf(url), user: BENCH });

const makeUser = ({ user, password }: ServerAccess): string =>
  [
    'SET sql_log_bin = 0',
    `CREATE USER ${user}@'%' IDENTIFIED BY ${quoteLiteral(password ?? '')}`,
    `GRANT ALL ON *.* TO ${user}@'%'`,
  ].join('; ');

/** The server lets its administrator in by its socket alone. */
async function asRoot(access: ServerAccess, statements: string, run: { signal: AbortSignal }): Promise<void> {
  const [row] = await withConnection(access, run, (session) =>
    session.query<{ socket: string }>('SELECT @@socket AS socket'),
  );
  const { client, flavour } = await dumpPrograms(SERIES);
  const host = (row as { socket: string }).socket;
  const options = await writeOptionFile({ ...access, host, user: 'root' }, flavour);
  try {
    await runTool(client, [options.argument], { ...run, stdin: statements });
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
