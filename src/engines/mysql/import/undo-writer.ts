import { Readable } from 'node:stream';
import type { StoredObject } from '../../../model/backup.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { UndoData, UndoStore, UndoTable } from '../../contract/change.ts';
import { keepLines, undoDataOf } from '../../undo-store.ts';
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
import { encodeLine, REPLACED, WRITTEN } from './undo-data.ts';

const keptColumns = ({ compared: { pair } }: Stage): string[] =>
  pair.production.columns.filter(({ generated }) => generated === null).map(({ name }) => name);

/** Under the locks and before the change: the rows that it updates or deletes, as they are. Null: none. */
export async function keepReplaced(
  session: Connection,
  store: UndoStore,
  stage: Stage,
): Promise<StoredObject[] | null> {
  if ((await countStaged(session, stage, 'urdD')) === 0) return null;
  const lines = Readable.from(replacedLines(session, stage), { objectMode: false });
  return keepLines(store, REPLACED(stage.compared.index), lines);
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
  const lines = Readable.from(writtenLines(session, stage), { objectMode: false });
  return keepLines(store, WRITTEN(stage.compared.index), lines);
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
export function undoData(
  session: Connection,
  store: UndoStore,
  tables: readonly UndoTable[],
): Promise<UndoData | null> {
  return undoDataOf(store, tables, () => markServer(session));
}
