import { Readable } from 'node:stream';
import type pg from 'pg';
import type { StoredObject } from '../../../model/backup.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { UndoData, UndoStore, UndoTable } from '../../contract/change.ts';
import { keepLines, undoDataOf } from '../../undo-store.ts';
import { copyOut } from '../compare/copy-out.ts';
import { ruleLines } from '../compare/differences.ts';
import { keyNames } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import { markServer } from '../undo/server-mark.ts';
import { type Applied, replacedRows } from './apply.ts';
import type { Settled } from './settle.ts';
import type { Stage } from './stage.ts';

/**
 * Under the locks and before the change: keeps what it takes to take one table's part of it back. The counts are
 * those of the change, filled in after it.
 */
export async function keepUndo(
  client: pg.Client,
  store: UndoStore,
  stage: Stage,
  settled: Settled,
  { index, keysFolder }: { index: number; keysFolder: string },
): Promise<UndoTable> {
  const { pair } = stage;
  const columns = pair.production.columns.filter((column) => !column.generated).map(({ name }) => name);
  const replaced = replacedRows(stage, columns);
  return {
    table: formatNameParts([pair.production.schema, pair.production.name]),
    created: null,
    createdId: null,
    key: pair.keyless ? null : keyNames(pair),
    columns,
    inserted:
      pair.keyless || settled.inserts === 0
        ? null
        : await keepLines(store, `${index}.inserted.zst`, insertedKeys(client, stage, settled, keysFolder)),
    replaced: replaced === null ? null : await keepRows(client, store, `${index}.replaced.zst`, replaced),
    counts: { inserted: 0, updated: 0, deleted: 0 },
  };
}

/** Where just the approved rows come, their keys lie on the disk; production has them to say otherwise. */
function insertedKeys(client: pg.Client, stage: Stage, settled: Settled, keysFolder: string): Readable {
  const { pair, rule, rows, approved, drifted } = stage;
  const names = keyNames(pair);
  const isApproved = settled.inserts === approved.missing && settled.revived === 0 && drifted.missing === 0;
  // What a key's text does not say, such as the scale of a number, only its row has.
  if (isApproved && !names.some((name) => pair.hashed.includes(name))) {
    return Readable.from(ruleLines(keysFolder, rule, 'missing'), { objectMode: false });
  }
  const keys = names.map((column) => `s.${quoteIdentifier(column)}`).join(', ');
  return copyOut(client, `COPY (SELECT ${keys} FROM ${rows} AS s WHERE s.holdfast_how = 'i') TO STDOUT`);
}

/** The undo data of the whole change; null where nothing was changed. */
export function undoData(
  client: pg.Client,
  store: UndoStore,
  tables: readonly UndoTable[],
  applied: readonly Applied[],
): Promise<UndoData | null> {
  const counted = tables.map((table, index) => ({ ...table, counts: applied[index] as Applied }));
  return undoDataOf(store, counted, () => markServer(client));
}

export function keepRows(
  client: pg.Client,
  store: UndoStore,
  name: string,
  query: string,
): Promise<StoredObject[]> {
  return keepLines(store, name, copyOut(client, `COPY (${query}) TO STDOUT`));
}
