import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { runTool } from '../src/engines/process.ts';
import { type BenchShop, type BenchStack, PLAIN, type StackOptions, withStackOf } from './stack.ts';

export type PostgresStack = BenchStack<pg.Client>;

const shop: BenchShop<pg.Client> = {
  kind: 'postgres',
  async open(connectionString) {
    const client = new pg.Client({ connectionString, application_name: 'bench' });
    client.on('error', () => {});
    await client.connect();
    return client;
  },
  close: (client) => client.end(),
  // Never looked at: this one has logical backups only.
  plain: (directory) => ({ postgres: { stanza: PLAIN, dataDirectory: join(directory, PLAIN) } }),
};

/** The whole stack with a PostgreSQL that archives; see {@link withStackOf}. */
export const withPostgresStack = <T>(
  options: StackOptions,
  work: (stack: PostgresStack) => Promise<T>,
): Promise<T> => withStackOf(shop, options, work);

/** Lets the archiver, the checkpointer and the disk come to rest, so that a run does not pay for the one before. */
export async function settle({ production }: PostgresStack, signal: AbortSignal): Promise<void> {
  await production.query('CHECKPOINT');
  const { rows } = await production.query<{ log: string }>(
    'SELECT pg_walfile_name(pg_switch_wal() - 1) AS log',
  );
  const log = rows[0]?.log as string;
  for (;;) {
    const { rows: archived } = await production.query<{ done: boolean }>(
      'SELECT last_archived_wal >= $1 AS done FROM pg_stat_archiver',
      [log],
    );
    if (archived[0]?.done) break;
    await sleep(200, undefined, { signal });
  }
  await runTool('sync', [], { signal });
}
