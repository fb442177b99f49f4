import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import type {
  ImportRecord,
  UndoInput,
  UndoPlanInput,
  UndoStore,
  UndoTable,
} from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { markServer } from '../../src/engines/postgres/undo/server-mark.ts';
import type { StoredObject } from '../../src/model/backup.ts';
import type { ConflictRule, UndoRule } from '../../src/model/plan.ts';
import { memoryJournal, openSession, quietly, type Sides } from './postgres-sides-fixture.ts';

/** An undo store in memory. */
export function memoryStore(): UndoStore & { objects: Map<string, Buffer>; read: UndoPlanInput['read'] } {
  const objects = new Map<string, Buffer>();
  const folder = `undo/shop/x/data/${randomUUID()}/`;
  return {
    objects,
    folder,
    expiresAt: '2099-01-01T00:00:00Z',
    sink: {
      async put(name, content) {
        const pieces: Buffer[] = [];
        for await (const piece of content) pieces.push(Buffer.from(piece));
        return [keep(objects, `${folder}${name}`, Buffer.concat(pieces))];
      },
    },
    read: ({ key }) => Readable.from([objects.get(key) as Buffer]),
  };
}

function keep(objects: Map<string, Buffer>, key: string, content: Buffer): StoredObject {
  objects.set(key, content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { key, versionId: null, sizeBytes: content.length, sha256 };
}

/** Imports by a rule, and gives what is needed to take it back. */
export async function importBy(sides: Sides, tables: string[], conflict: ConflictRule) {
  const store = memoryStore();
  const journal = memoryJournal();
  const plan = await sides.plan(tables, journal);
  await importRows({ ...plan, conflict, undo: store }, quietly);
  const record = journal.records.at(-1);
  if (record === undefined) throw new Error('nothing was imported');
  return { record, read: store.read };
}

/** What has been planned, and is to be done. */
export async function plannedUndo(
  sides: Pick<Sides, 'production'>,
  record: ImportRecord,
  read: UndoPlanInput['read'],
  conflict: UndoRule = 'keep-changed',
): Promise<UndoInput & { undo: ReturnType<typeof memoryStore> }> {
  const store = memoryStore();
  const planned = { production: sides.production, record, undo: store, read };
  return {
    ...planned,
    comparisons: await planUndo(planned, quietly),
    conflict,
    planDigest: randomUUID(),
    journal: memoryJournal(),
    database: 'shop',
    lockTimeoutMs: 3_000,
  };
}

/** Every row of these tables, whatever their order. */
export async function contentOf(sides: Sides, tables: readonly string[]): Promise<unknown[]> {
  const content: unknown[] = [];
  for (const table of tables) {
    content.push(await sides.live(`SELECT t::text AS row FROM ${table} t ORDER BY t::text COLLATE "C"`));
  }
  return content;
}

/** What an import by hand does to one table: queries that give what it inserts (afterwards) and replaces (before). */
export interface HandChange {
  key: string[] | null;
  columns: string[];
  inserted?: string;
  replaced?: string;
  created?: string;
  /** rows inserted, where no query gives them */
  count?: number;
}

export interface ImportedByHand {
  record: ImportRecord;
  read: UndoPlanInput['read'];
  input(): UndoPlanInput;
  /** what was stored last under this name */
  stored(name: string): string | undefined;
}

interface Tamper {
  undo?: null;
  expiresAt?: string;
  rollback?: boolean;
  systemIdentifier?: string;
  lsn?: string;
  timeline?: number;
  sha256?: string;
}

/** Does `statements` in one transaction, and writes the record and undo data that an import writes of it. */
export async function importByHand(
  sides: Sides,
  changes: Record<string, HandChange>,
  statements: string,
  tamper: Tamper = {},
): Promise<ImportedByHand> {
  const store = memoryStore();
  const client = await openSession(sides.production);
  const texts = async (query: string | undefined): Promise<string[] | null> => {
    if (query === undefined) return null;
    const { rows } = await client.query<(string | null)[]>({ text: query, rowMode: 'array' });
    return rows.map((row) => row.map((value) => (value === null ? '\\N' : String(value))).join('\t'));
  };
  const stored = (name: string, lines: string[] | null): StoredObject[] | null =>
    lines && [
      keep(
        store.objects,
        `${store.folder}${name}`,
        zstdCompressSync(lines.map((line) => `${line}\n`).join('')),
      ),
    ];
  try {
    await client.query('BEGIN');
    const replaced = new Map<string, string[] | null>();
    for (const [table, change] of Object.entries(changes)) replaced.set(table, await texts(change.replaced));
    await client.query(statements);
    const tables: UndoTable[] = [];
    for (const [index, [table, change]] of Object.entries(changes).entries()) {
      const inserted = await texts(change.inserted);
      const lines = replaced.get(table) ?? null;
      const { rows } = await client.query<{ oid: string | null }>(
        'SELECT pg_catalog.to_regclass($1)::oid::text AS oid',
        [change.created ?? null],
      );
      tables.push({
        table,
        created: change.created ?? null,
        createdId: rows[0]?.oid ?? null,
        key: change.key,
        columns: change.columns,
        inserted: stored(`${index}.inserted.zst`, inserted),
        replaced: stored(`${index}.replaced.zst`, lines),
        counts: {
          inserted: inserted?.length ?? change.count ?? 0,
          updated: lines?.filter((line) => line.startsWith('u')).length ?? 0,
          deleted: lines?.filter((line) => line.startsWith('d')).length ?? 0,
        },
      });
    }
    const id = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
    const server = {
      ...(await markServer(client)),
      ...definedOf(tamper, ['systemIdentifier', 'lsn', 'timeline']),
    };
    await client.query(tamper.rollback === true ? 'ROLLBACK' : 'COMMIT');
    const transaction = id.rows[0]?.id as string;
    const damage = (objects: StoredObject[] | null) =>
      tamper.sha256 === undefined
        ? objects
        : (objects?.map((one) => ({ ...one, sha256: tamper.sha256 as string })) ?? null);
    const record: ImportRecord = {
      transaction,
      planDigest: 'the plan of the import',
      result: { tables: [], transaction, alreadyDone: false, undo: null },
      undo:
        tamper.undo === null
          ? null
          : {
              folder: store.folder,
              expiresAt: tamper.expiresAt ?? store.expiresAt,
              sizeBytes: 1,
              server,
              tables: tables.map((table) => ({ ...table, replaced: damage(table.replaced) })),
            },
    };
    return {
      record,
      read: store.read,
      input: () => ({ production: sides.production, record, undo: store, read: store.read }),
      stored: (name) => store.objects.get(`${store.folder}${name}`)?.toString(),
    };
  } finally {
    await client.end();
  }
}

function definedOf(tamper: Tamper, names: readonly (keyof Tamper)[]): object {
  return Object.fromEntries(
    names.flatMap((name) => (tamper[name] === undefined ? [] : [[name, tamper[name]]])),
  );
}
