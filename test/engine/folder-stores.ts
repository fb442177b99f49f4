import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import type { UndoInput } from '../../src/engines/contract/change.ts';
import { fileSink } from './postgres-file-sink.ts';

type Stores = Pick<UndoInput, 'undo' | 'read'>;

/** Undo data in a folder, which two processes share as two workers share the repository. */
export function folderStore(folder: string): Stores {
  return {
    undo: { folder, expiresAt: '2099-01-01T00:00:00Z', sink: fileSink(folder) },
    read: ({ key }) => createReadStream(join(folder, basename(key))),
  };
}

/** The import's data in one folder, the undo's in another. */
export function folderStores(imported: string, own: string): Stores {
  const { undo } = folderStore(own);
  return { undo: { ...undo, folder: `${own}/data/` }, read: folderStore(imported).read };
}
