import { Readable, Transform } from 'node:stream';
import { createZstdCompress } from 'node:zlib';
import type { StoredObject } from '../../../model/backup.ts';
import { HoldfastError } from '../../../model/failure.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { UndoData, UndoStore, UndoTable } from '../../contract/change.ts';
import { keyColumns } from '../compare/scratch.ts';
import { type Column, columnsOf } from '../compare/table.ts';
import { readValue } from '../compare/values.ts';
import type { Connection } from '../connection.ts';
import { rowHashSql } from '../row-hash.ts';
import { contentOf } from '../undo/created-table.ts';
import type { Applied } from './apply.ts';
import type { Making } from './make-table.ts';
import { markServer } from './server-mark.ts';
import { countStaged, isRow, isStaged, type Stage } from './stage.ts';
import { encodeLine, REPLACED, sizeOf, WRITTEN } from './undo-data.ts';

/** Production's rows are locked meanwhile: a store that takes nothing any more must not stop its writers for long. */
const STALL_MS = 20_000;

const keptColumns = ({ compared: { pair } }: Stage): string[] =>
  pair.production.columns.filter(({ generated }) => generated === null).map(({ name }) => name);

/** Under the locks and before the change: the rows that it updates or deletes, as they are. Null: none. */
export async function keepReplaced(
  session: Connection,
  store: UndoStore,
  stage: Stage,
): Promise<StoredObject[] | null> {
  if ((await countStaged(session, stage, 'urdD')) === 0) return null;
  return keepLines(store, REPLACED(stage.compared.index), replacedLines(session, stage));
}

async function* replacedLines(session: Connection, stage: Stage): AsyncGenerator<Buffer> {
  const { compared, rows } = stage;
  const { pair } = compared;
  const values = columnsOf(pair.production, keptColumns(stage)).map((column) => readValue(column, 't'));
  const table = `${pair.production.qualified} AS t`;
  const joined =
    pair.key === null ? `${table} STRAIGHT_JOIN ${rows} AS s` : `${rows} AS s STRAIGHT_JOIN ${table}`;
  const stream = session.stream(
    `SELECT IF(${isStaged('dD', 's')}, 'd', 'u'), s.holdfast_count, s.holdfast_hash, ${values.join(', ')}
     FROM ${joined} ON ${isRow(compared, 't', 's')} WHERE ${isStaged('urdD', 's')}`,
  );
  // Without a key only some of equal rows may go: any of them stands for the others.
  const written = new Map<string, number>();
  for await (const [how, count, hash, ...row] of stream) {
    if (pair.key === null) {
      const before = written.get(String(hash)) ?? 0;
      if (before >= Number(count)) continue;
      written.set(String(hash), before + 1);
    }
    yield encodeLine([how as Buffer, ...row]);
  }
}

/** After the change: what it wrote, with the hash of each row as it is now. Null: nothing. */
export async function keepWritten(
  session: Connection,
  store: UndoStore,
  stage: Stage,
): Promise<StoredObject[] | null> {
  if ((await countStaged(session, stage, 'iur')) === 0) return null;
  return keepLines(store, WRITTEN(stage.compared.index), writtenLines(session, stage));
}

async function* writtenLines(session: Connection, stage: Stage): AsyncGenerator<Buffer> {
  const { compared, rows } = stage;
  const { pair } = compared;
  const how = `IF(${isStaged('ur', 's')}, 'u', 'i')`;
  const hash = rowHashSql(columnsOf(pair.production, keptColumns(stage)), 't');
  const keys = keyColumns(pair).map((column) => readValue(column, 't'));
  const stream = session.stream(
    pair.key === null
      ? `SELECT 'i', s.holdfast_hash, s.holdfast_count FROM ${rows} AS s WHERE ${isStaged('i', 's')}`
      : `SELECT ${how}, ${hash}, ${keys.join(', ')} FROM ${rows} AS s
         STRAIGHT_JOIN ${pair.production.qualified} AS t ON ${isRow(compared, 't', 's')} WHERE ${isStaged('iur', 's')}`,
  );
  for await (const row of stream) yield encodeLine(row);
}

/** What kept bytes and numbers of a column mean. */
export const definitionOf = ({ fullType, charset }: Pick<Column, 'fullType' | 'charset'>): string =>
  charset === null ? fullType : `${fullType} ${charset}`;

export function undoTable(
  stage: Stage,
  kept: { replaced: StoredObject[] | null; inserted: StoredObject[] | null },
  counts: Applied,
): UndoTable {
  const { pair } = stage.compared;
  const table = formatNameParts(pair.parts);
  return {
    table,
    created: null,
    createdId: null,
    key: pair.key,
    columns: keptColumns(stage),
    definitions: columnsOf(pair.production, keptColumns(stage)).map(definitionOf),
    ...kept,
    counts,
  };
}

/** What takes a table that was made away again: while it holds just what it holds now. */
export async function createdTable(
  session: Connection,
  { restored, qualified }: Pick<Making, 'restored' | 'qualified'>,
  table: readonly string[],
  created: readonly string[],
): Promise<UndoTable> {
  const { rows, id } = await contentOf(session, { ...restored, qualified });
  return {
    ...{ table: formatNameParts(table), created: formatNameParts(created), createdId: id },
    ...{ key: null, columns: [], inserted: null, replaced: null },
    counts: { inserted: rows, updated: 0, deleted: 0 },
  };
}

/** The undo data of the whole change; null where nothing was changed. */
export async function undoData(
  session: Connection,
  store: UndoStore,
  tables: readonly UndoTable[],
): Promise<UndoData | null> {
  const changed = tables.filter(
    ({ created, counts }) => created !== null || counts.inserted + counts.updated + counts.deleted > 0,
  );
  if (changed.length === 0) return null;
  return {
    folder: store.folder,
    expiresAt: store.expiresAt,
    sizeBytes: sizeOf(changed.flatMap(({ inserted, replaced }) => [inserted, replaced])),
    server: await markServer(session),
    tables: changed,
  };
}

/** Compresses and stores lines. Throws RepositoryUnavailable where the store takes nothing any more. */
export async function keepLines(
  store: UndoStore,
  name: string,
  lines: AsyncIterable<Buffer>,
): Promise<StoredObject[]> {
  const compressed = createZstdCompress();
  const source = Readable.from(lines, { objectMode: false });
  const stalled = setTimeout(() => {
    compressed.destroy(
      new HoldfastError('RepositoryUnavailable', 'the repository took no undo data for too long', {
        hint: 'nothing was changed; it can be tried again as it is',
      }),
    );
  }, STALL_MS);
  const watch = new Transform({
    transform(piece, _, done) {
      stalled.refresh();
      done(null, piece);
    },
  });
  source.once('error', (error) => compressed.destroy(error));
  compressed.once('error', (error) => watch.destroy(error));
  try {
    return await store.sink.put(name, source.pipe(compressed).pipe(watch), { expectedBytes: null });
  } finally {
    clearTimeout(stalled);
    source.destroy();
  }
}
