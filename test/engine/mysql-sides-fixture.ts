import type {
  CompareInput,
  ImportInput,
  ImportJournal,
  UndoStore,
} from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import { decodeLine } from '../../src/engines/mysql/import/undo-data.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { digestOf, memoryJournal, memoryObjects } from './memory-stores.ts';
import { type MysqlServer, quietly, type Settings, startMysql } from './mysql-server.ts';

export { memoryJournal };

/** One db that is written to, and a copy of it as it was, of the same name on another server. */
export interface Sides {
  /** the db's name on both */
  db: string;
  production: ServerAccess;
  restored: ServerAccess;
  directory: string;
  /** statements in production, one after the other; the rows of the last */
  live(...statements: string[]): Promise<Record<string, unknown>[]>;
  copy(...statements: string[]): Promise<Record<string, unknown>[]>;
  input(tables: string[]): CompareInput;
  plan(
    tables: string[],
    options?: { conflict?: ConflictRule; journal?: ImportJournal; drift?: number },
  ): Promise<ImportInput>;
}

export interface SidesServer {
  production: MysqlServer;
  instance: MysqlServer;
  /** the statements make the db on both servers */
  make(...before: string[]): Promise<Sides>;
  end(): Promise<void>;
}

/** Two servers for a test file; `make` gives each test a db of its own on both. */
export async function startSides(series: string, settings: Settings = {}): Promise<SidesServer> {
  const production = await startMysql({ series, settings });
  const instance = await startMysql({ series });
  let count = 0;
  return {
    production,
    instance,
    async make(...before) {
      count += 1;
      const db = `shop_${count}`;
      for (const server of [production, instance]) {
        await server.run([`CREATE DATABASE ${db} CHARACTER SET utf8mb4`, `USE ${db}`, ...before]);
      }
      const [live, copy] = [
        { ...production.access, database: db },
        { ...instance.access, database: db },
      ];
      const input = (tables: string[]): CompareInput => ({
        ...{ production: live, restored: copy, place: { directory: instance.directory, user: null } },
        tables: tables.map((table) => (table.includes('.') ? table : `${db}.${table}`)),
        ...{ serverMajor: production.series, copyId: 'copy' },
      });
      return {
        ...{ db, production: live, restored: copy, directory: instance.directory, input },
        live: (...statements) => production.run(statements, db),
        copy: (...statements) => instance.run(statements, db),
        async plan(tables, { conflict = 'insert-missing', journal = memoryJournal(), drift = 0 } = {}) {
          const compared = input(tables);
          const comparisons = await compare(compared, quietly);
          return {
            ...compared,
            ...{ conflict, drift, comparisons, planDigest: digestOf(comparisons), journal, database: db },
            ...{ lockTimeoutMs: 3_000, undo: memoryUndo() },
          };
        },
      };
    },
    async end() {
      await Promise.all([production.end(), instance.end()]);
    },
  };
}

/** A store whose objects can be read again as the lines that were kept. */
export function memoryUndo(): UndoStore & { lines(key: string): (string | null)[][] } {
  const store = memoryObjects();
  const lines = (key: string) => store.content(key).toString('latin1').split('\n').slice(0, -1);
  return {
    ...store,
    lines: (key) =>
      lines(key).map((line) =>
        decodeLine(Buffer.from(line, 'latin1')).map((value) => value?.toString() ?? null),
      ),
  };
}
