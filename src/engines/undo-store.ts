import { type Readable, Transform } from 'node:stream';
import { createZstdCompress } from 'node:zlib';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { UndoData, UndoPlanInput, UndoStore, UndoTable } from './contract/change.ts';

/** Production's rows are locked meanwhile: a store that takes nothing any more must not stop its writers for long. */
const STALL_MS = 20_000;

/** Compresses and stores lines. Throws RepositoryUnavailable where the store takes nothing any more. */
export async function keepLines(store: UndoStore, name: string, lines: Readable): Promise<StoredObject[]> {
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

/** The undo data of a whole change; null where nothing was changed. `mark` says on which server it was. */
export async function undoDataOf(
  store: UndoStore,
  tables: readonly UndoTable[],
  mark: () => Promise<UndoData['server']>,
): Promise<UndoData | null> {
  const changed = tables.filter(
    ({ created, counts }) => created !== null || counts.inserted + counts.updated + counts.deleted > 0,
  );
  if (changed.length === 0) return null;
  const objects = changed.flatMap(({ inserted, replaced }) => [...(inserted ?? []), ...(replaced ?? [])]);
  return {
    folder: store.folder,
    expiresAt: store.expiresAt,
    sizeBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    server: await mark(),
    tables: changed,
  };
}

/** What an import kept. Throws InvalidInput where that is nothing, or not there any more. */
export function requireUndoData({ undo }: UndoPlanInput['record']): UndoData {
  if (undo === null) {
    throw new HoldfastError('InvalidInput', 'the import changed nothing: there is nothing to take back');
  }
  if (Date.parse(undo.expiresAt) <= Date.now()) {
    throw new HoldfastError('InvalidInput', `the undo data of the import expired at ${undo.expiresAt}`, {
      hint: 'recover to the moment before the import instead: holdfast restore pitr',
    });
  }
  return undo;
}
