import { createHash, randomUUID } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type {
  CompareInput,
  ImportInput,
  ImportJournal,
  ImportRecord,
  UndoStore,
} from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import { decodeLine } from '../../src/engines/mysql/import/undo-data.ts';
import { planDigest } from '../../src/engines/plan-digest.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { type MysqlServer, quietly, type Settings, startMysql } from './mysql-server.ts';

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

export function memoryJournal(records: ImportRecord[] = []): ImportJournal & { records: ImportRecord[] } {
  return {
    records,
    read: async () => [...records],
    write: async (record) => {
      records.push(record);
    },
  };
}

/** A store whose objects can be read again as the lines that were kept. */
export function memoryUndo(): UndoStore & { lines(key: string): (string | null)[][] } {
  const kept = new Map<string, Buffer>();
  return {
    folder: 'undo/',
    expiresAt: '2099-01-01T00:00:00Z',
    lines: (key) =>
      zstdDecompressSync(kept.get(key) as Buffer)
        .toString('latin1')
        .split('\n')
        .slice(0, -1)
        .map((line) => decodeLine(Buffer.from(line, 'latin1')).map((value) => value?.toString() ?? null)),
    sink: {
      async put(name, content) {
        const pieces: Buffer[] = [];
        for await (const piece of content) pieces.push(piece as Buffer);
        const all = Buffer.concat(pieces);
        const key = `undo/${name}`;
        kept.set(key, all);
        const sha256 = createHash('sha256').update(all).digest('hex');
        return [{ key, versionId: null, sizeBytes: all.length, sha256 }];
      },
    },
  };
}

function digestOf(comparisons: ImportInput['comparisons']): string {
  return planDigest(
    {
      ...{ summary: randomUUID(), backup: 'b', target: { latest: true }, position: null },
      ...{ conflict: 'insert-missing', estimateSeconds: 1, rules: [], notices: [] },
      changes: comparisons.map((comparison) => ruleOf(comparison, 'insert-missing').change),
    },
    comparisons,
  );
}
