import { randomUUID } from 'node:crypto';
import type { ImportRecord, UndoStore } from '../engines/contract/change.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { openJournal } from './journal.ts';
import { UNDO_FOLDER, undoDataFolder, undoDataOf } from './layout.ts';
import { removeVersions } from './remove-versions.ts';
import type { Repository } from './repository.ts';
import { openSink } from './sink.ts';

/**
 * Where one attempt of a runbook keeps what its import replaces: encrypted whatever the configuration says,
 * since it is production's rows, and without a lock, since it has to be gone when its time is over.
 */
export function openUndoStore(
  repository: Repository,
  import_: { database: string; workflowId: string; retentionMs: number },
  run: Run,
): UndoStore {
  const { database, workflowId, retentionMs } = import_;
  const end = new Date(Date.now() + retentionMs);
  end.setUTCMilliseconds(0);
  const expiresAt = end.toISOString();
  const folder = undoDataFolder(database, workflowId, { expiresAt, attempt: randomUUID() });
  const { signal, progress } = run;
  return {
    folder,
    expiresAt,
    sink: openSink(repository, folder, { signal, progress, lockedUntil: null, encrypted: true }),
  };
}

/**
 * The import of a runbook as its journal knows it: the last record, since none is written while an earlier one may
 * still have committed. Whether it did is production's to say. Throws InvalidInput where there is none.
 */
export async function readImport(
  repository: Repository,
  database: string,
  workflowId: string,
): Promise<ImportRecord> {
  const record = (await openJournal(repository, database, workflowId).read()).at(-1);
  if (record !== undefined) return record;
  throw new HoldfastError('InvalidInput', `${workflowId} has imported nothing into ${database}`, {
    hint: 'name the runbook whose import is to be taken back: holdfast list shows them',
  });
}

/**
 * Removes all undo data whose time is over, every version of it, and uploads that never ended there. Where the
 * credentials may not remove versions a delete marker lies on top, and lifecycle rules do the rest. Returns the folders.
 */
export async function removeExpiredUndo(repository: Repository, now: Date, run: Run): Promise<string[]> {
  const expired = (key: string): string | null => {
    const data = undoDataOf(key);
    return data !== null && Date.parse(data.expiresAt) <= now.getTime() ? data.folder : null;
  };
  for (const { key } of await repository.uploads(UNDO_FOLDER)) {
    const folder = expired(key);
    if (folder !== null) await repository.abortUploads(folder);
  }
  const versions = async function* () {
    for await (const version of repository.versions(UNDO_FOLDER, run.signal)) {
      const folder = expired(version.key);
      if (folder === null) continue;
      run.progress({ phase: `removing ${folder}` });
      yield version;
    }
  };
  const removed = await removeVersions(repository, versions());
  return [...new Set(removed.flatMap((key) => expired(key) ?? []))].sort();
}
