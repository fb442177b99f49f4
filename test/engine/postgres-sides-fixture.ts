import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { startPostgres } from '../../src/client/dev/postgres.ts';
import type {
  CompareInput,
  ImportInput,
  ImportJournal,
  UndoStore,
} from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { connect, withConnection } from '../../src/engines/postgres/connection.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { Run } from '../../src/model/progress.ts';
import { digestOf, memoryJournal, memoryObjects } from './memory-stores.ts';

export { memoryJournal };

export const quietly: Run = { signal: new AbortController().signal, progress: () => {} };

/** One database that is written to, and a copy of it as it was: what a restore to that moment gives. */
export interface Sides {
  production: ServerAccess;
  restored: ServerAccess;
  directory: string;
  /** statements in production; the rows of the last */
  live(sql: string): Promise<Record<string, unknown>[]>;
  copy(sql: string): Promise<Record<string, unknown>[]>;
  input(tables: string[]): CompareInput;
  plan(tables: string[], journal?: ImportJournal, restored?: ServerAccess): Promise<ImportInput>;
}

export interface SidesServer {
  access: ServerAccess;
  directory: string;
  make(before: string, options?: { createDatabase?: string }): Promise<Sides>;
  end(): Promise<void>;
}

/** A cluster of its own for a test file; `make` gives each test its two databases in it. */
export async function startSides(major = 15): Promise<SidesServer> {
  const directory = await mkdtemp(join(tmpdir(), 'hf-sides-'));
  await chmod(directory, 0o755);
  const server = await startPostgres({
    directory: join(directory, 'postgres'),
    port: 0,
    major,
    systemUser: 'postgres',
    password: 'a-password-of-tests',
    database: 'admin',
    settings: { fsync: 'off' },
  });
  let count = 0;
  return {
    access: server.access,
    directory,
    async make(before, options = {}) {
      count += 1;
      const production = { ...server.access, database: `live_${count}` };
      const restored = { ...server.access, database: `copy_${count}` };
      await query(server.access, `CREATE DATABASE ${production.database} ${options.createDatabase ?? ''}`);
      await query(production, before);
      await query(server.access, `CREATE DATABASE ${restored.database} TEMPLATE ${production.database}`);
      const place = join(directory, `instance-${count}`);
      const input = (tables: string[]): CompareInput => ({
        production,
        restored,
        tables,
        place: { directory: place, user: null },
        serverMajor: major,
        copyId: 'copy',
      });
      return {
        production,
        restored,
        directory: place,
        live: (sql) => query(production, sql),
        copy: (sql) => query(restored, sql),
        input,
        async plan(tables, journal = memoryJournal(), otherCopy = restored) {
          const compared = { ...input(tables), restored: otherCopy };
          const comparisons = await compare(compared, quietly);
          return {
            ...compared,
            conflict: 'insert-missing',
            drift: 0,
            comparisons,
            planDigest: digestOf(comparisons),
            journal,
            database: 'shop',
            lockTimeoutMs: 3_000,
            undo: memoryUndo(),
          };
        },
      };
    },
    async end() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function query(access: ServerAccess, sql: string): Promise<Record<string, unknown>[]> {
  const options = { applicationName: 'test', signal: quietly.signal };
  return withConnection(access, options, async (client) => {
    await client.query("SET search_path = 'public'");
    const result = (await client.query(sql)) as pg.QueryResult | pg.QueryResult[];
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last?.rows ?? []) as Record<string, unknown>[];
  });
}

/** A session that stays open, for what has to happen beside an import. */
export async function openSession(access: ServerAccess): Promise<pg.Client> {
  const client = await connect(access, { applicationName: 'test', signal: quietly.signal });
  await client.query("SET search_path = 'public'");
  return client;
}

/** A store whose objects can be read again as the lines that were kept. */
export function memoryUndo(): UndoStore & { lines(key: string): string[] } {
  const store = memoryObjects();
  return { ...store, lines: (key) => store.content(key).toString().split('\n').slice(0, -1) };
}
