import { Readable, Transform } from 'node:stream';
import { createZstdCompress } from 'node:zlib';
import type pg from 'pg';
import type { StoredObject } from '../../../model/backup.ts';
import { HoldfastError } from '../../../model/failure.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { UndoData, UndoStore, UndoTable } from '../../contract/change.ts';
import { copyOut } from '../compare/copy-out.ts';
import { ruleLines } from '../compare/differences.ts';
import { keyNames } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import { markServer } from '../undo/server-mark.ts';
import { type Applied, replacedRows } from './apply.ts';
import type { Settled } from './settle.ts';
import type { Stage } from './stage.ts';

/** Production's tables are locked meanwhile: a store that takes nothing any more must not stop its writers for long. */
const STALL_MS = 20_000;

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
export async function undoData(
  client: pg.Client,
  store: UndoStore,
  tables: readonly UndoTable[],
  applied: readonly Applied[],
): Promise<UndoData | null> {
  const counted = tables.map((table, index) => ({ ...table, counts: applied[index] as Applied }));
  const changed = counted.filter(
    ({ created, counts }) => created !== null || counts.inserted + counts.updated + counts.deleted > 0,
  );
  if (changed.length === 0) return null;
  const objects = changed.flatMap(({ inserted, replaced }) => [...(inserted ?? []), ...(replaced ?? [])]);
  return {
    folder: store.folder,
    expiresAt: store.expiresAt,
    sizeBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    server: await markServer(client),
    tables: changed,
  };
}

export function keepRows(
  client: pg.Client,
  store: UndoStore,
  name: string,
  query: string,
): Promise<StoredObject[]> {
  return keepLines(store, name, copyOut(client, `COPY (${query}) TO STDOUT`));
}

async function keepLines(store: UndoStore, name: string, lines: Readable): Promise<StoredObject[]> {
  const compressed = createZstdCompress();
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
  lines.once('error', (error) => compressed.destroy(error));
  compressed.once('error', (error) => watch.destroy(error));
  try {
    return await store.sink.put(name, lines.pipe(compressed).pipe(watch), { expectedBytes: null });
  } finally {
    clearTimeout(stalled);
    lines.destroy();
  }
}
