import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { endpointFailed } from './failure.ts';

/** The text of a file, a byte a character: what is not edited stays as it is, whatever its encoding. */
export async function readBytes(path: string): Promise<string> {
  return onDisk(path, 'read', () => readFile(path, 'latin1'));
}

/**
 * Replaces a file whole or not at all, with the mode and owner that it had; a symbolic link keeps pointing at it.
 * What was left beside it by a killed attempt is written anew.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  await onDisk(path, 'replaced', async () => {
    const target = await realpath(path);
    const before = await stat(target);
    // The dot keeps it out of folders whose files are all read.
    const beside = join(dirname(target), `.${basename(target)}.holdfast`);
    await rm(beside, { force: true });
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(text, 'latin1');
      // The change of owner clears bits of the mode: it comes first.
      const made = await file.stat();
      if (made.uid !== before.uid || made.gid !== before.gid) await file.chown(before.uid, before.gid);
      await file.chmod(before.mode & 0o7777);
      await file.sync();
      await file.close();
      await rename(beside, target);
    } catch (error) {
      await file.close().catch(() => {});
      await rm(beside, { force: true });
      throw error;
    }
    // So that the new name outlives a power cut.
    const folder = await open(dirname(target), 'r');
    await folder.sync().finally(() => folder.close());
  });
}

async function onDisk<T>(path: string, done: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw endpointFailed(
      `${path} cannot be ${done} (${code})`,
      'the worker of the target site needs the file and its folder, with the right to replace it and to give it its owner',
      { cause, retryable: code === 'ENOSPC' || code === 'EIO' },
    );
  }
}
