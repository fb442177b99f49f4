import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ExportedFile, ExportInput } from '../engines/contract/read.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { encodeId, exportFolder, exportsFolder } from '../repository/layout.ts';
import { removeVersions } from '../repository/remove-versions.ts';
import type { Repository } from '../repository/repository.ts';
import { openSink } from '../repository/sink.ts';

type Put = ExportInput['put'];

const UNFINISHED = '.unfinished-';

/**
 * Runs an export into the repository, in a folder that no other attempt writes. They are production's rows: the
 * store is asked to encrypt them, and what this or an earlier attempt left unfinished is removed.
 */
export async function exportToRepository<T>(
  repository: Repository,
  of: { database: string; workflowId: string },
  run: Run,
  work: (put: Put) => Promise<T>,
): Promise<T> {
  const all = exportsFolder(of.database, of.workflowId);
  await clear(repository, all);
  const folder = exportFolder(of.database, of.workflowId, randomUUID());
  // The engine's own progress says more than that of the uploads.
  const sink = openSink(repository, folder, { signal: run.signal, lockedUntil: null, encrypted: true });
  try {
    return await work(async (name, content) => {
      const { stream, measured } = measure(content);
      const objects = await sink.put(name, stream, { expectedBytes: null });
      return { place: objects.map(({ key }) => key).join(' '), ...measured() };
    });
  } catch (error) {
    // Whatever cannot be removed now, the next attempt removes.
    await clear(repository, folder).catch(() => {});
    throw error;
  }
}

async function clear(repository: Repository, folder: string): Promise<void> {
  await repository.abortUploads(folder);
  await removeVersions(repository, repository.versions(folder));
}

/**
 * Runs an export into a folder of its own under a path of this host. A file is written beside its name and
 * renamed when it is whole and on the disk; only the worker's user can read it. An export that fails leaves nothing:
 * its files are production's rows, in plain text. Throws PermissionDenied, NotEnoughSpace, ToolFailed.
 */
export async function exportToPath<T>(
  path: string,
  workflowId: string,
  work: (put: Put) => Promise<T>,
): Promise<T> {
  const folder = join(path, encodeId(workflowId));
  await onDisk(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }));
  // Of an attempt that was killed; of one that still runs, it fails and is run again.
  for (const name of await onDisk(folder, () => readdir(folder))) {
    if (name.startsWith(UNFINISHED)) await rm(join(folder, name), { force: true });
  }
  const written: string[] = [];
  try {
    return await work(async (name, content) => {
      const file = await writeFile(folder, name, content);
      written.push(file.place);
      return file;
    });
  } catch (error) {
    for (const place of written) await rm(place, { force: true }).catch(() => {});
    await rmdir(folder).catch(() => {});
    throw error;
  }
}

async function writeFile(folder: string, name: string, content: Readable): Promise<ExportedFile> {
  const unfinished = join(folder, `${UNFINISHED}${randomUUID()}`);
  const place = join(folder, name);
  const { stream, measured } = measure(content);
  try {
    const file = await onDisk(folder, () => open(unfinished, 'wx', 0o600));
    try {
      await onDisk(folder, () => file.writeFile(stream));
      await onDisk(folder, () => file.sync());
    } finally {
      await file.close();
    }
    await onDisk(folder, () => rename(unfinished, place));
  } catch (error) {
    content.destroy();
    await rm(unfinished, { force: true });
    throw error;
  }
  return { place, ...measured() };
}

/** The same content, and its size and sha256 once it has passed. */
function measure(content: Readable): {
  stream: Readable;
  measured: () => Pick<ExportedFile, 'sizeBytes' | 'sha256'>;
} {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* passing(): AsyncGenerator<Buffer> {
    for await (const piece of content as AsyncIterable<Buffer>) {
      hash.update(piece);
      sizeBytes += piece.length;
      yield piece;
    }
  }
  return {
    stream: Readable.from(passing(), { objectMode: false }),
    measured: () => ({ sizeBytes, sha256: hash.digest('hex') }),
  };
}

/** What the file system says, in words; anything else goes through as it is: the content's own failures. */
async function onDisk<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall === undefined || code === undefined) throw error;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new HoldfastError('NotEnoughSpace', `there is no room for the export in ${folder}`, {
        hint: 'make room, then resume the runbook',
        cause: error,
      });
    }
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new HoldfastError('PermissionDenied', `the worker may not write to ${folder}`, {
        hint: "give the worker's user the right to write there, then resume the runbook",
        cause: error,
      });
    }
    throw new HoldfastError('ToolFailed', `the export cannot be written to ${folder}: ${code}`, {
      hint: 'look at the path on the host of the instance, then resume the runbook',
      cause: error,
    });
  }
}
