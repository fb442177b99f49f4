import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type RunningPostgres, startPostgres } from '../src/client/dev/postgres.ts';
import { postgresProgram } from '../src/engines/postgres/programs.ts';
import { runTool } from '../src/engines/process.ts';
import { fillReadings } from './postgres-data.ts';

const MAJOR = 15;
const PASSWORD = 'a-password-of-benchmarks';

/** One of two servers that hold the same table, until one of them meets with an accident. */
export interface ScratchServer extends RunningPostgres {
  client: pg.Client;
}

/** Production and its restored copy on loopback, without anything else of a stack. */
export interface Scratch {
  directory: string;
  production: ScratchServer;
  restored: ScratchServer;
  /** folder of PostgreSQL's own programs */
  bin: string;
  /** what both sides' psql needs */
  env: Record<string, string>;
}

/**
 * Starts both servers, fills `readings` in each alike, and ends and removes everything whatever happens. Production
 * keeps the defaults, so that it waits for its disk; the copy is set up as restored servers are.
 */
export async function withScratch<T>(
  rows: number,
  { signal, say }: { signal: AbortSignal; say: (line: string) => void },
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  await chmod(directory, 0o755);
  const closing: (() => Promise<unknown>)[] = [];
  const open = async (name: string, settings: Record<string, string>): Promise<ScratchServer> => {
    const server = await startPostgres({
      ...{
        directory: join(directory, name),
        port: 0,
        major: MAJOR,
        systemUser: 'postgres',
        signal,
        settings,
      },
      ...{ password: PASSWORD, database: 'bench' },
    });
    closing.push(() => server.stop());
    const client = new pg.Client({ connectionString: server.url, application_name: 'bench' });
    client.on('error', () => {});
    await client.connect();
    closing.push(() => client.end());
    return { ...server, client };
  };
  try {
    const production = await open('production', {});
    const restored = await open('restored', { fsync: 'off', shared_buffers: '256MB', jit: 'off' });
    for (const { client } of [production, restored]) {
      signal.throwIfAborted();
      await fillReadings(client, rows);
    }
    say(`filled both servers with ${rows.toLocaleString('en-US')} rows`);
    const bin = join(await postgresProgram('psql', MAJOR), '..');
    return await work({ directory, production, restored, bin, env: { PGPASSWORD: PASSWORD } });
  } finally {
    for (const close of closing.reverse()) await close().catch(() => {});
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** `host=… port=… user=… dbname=…`, as psql takes it */
export function conninfo({ access: { host, port, user, database } }: ScratchServer): string {
  return `host=${host} port=${port} user=${user} dbname=${database}`;
}

/** Nothing of the run before is left to be written when the next one begins. */
export async function settleScratch({ production, restored }: Scratch, signal: AbortSignal): Promise<void> {
  for (const { client } of [production, restored]) await client.query('CHECKPOINT');
  await runTool('sync', [], { signal });
}
