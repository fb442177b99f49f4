import { randomBytes } from 'node:crypto';
import { lchown, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { createSocketDirectory } from '../instances/socket.ts';
import { HoldfastError } from '../model/failure.ts';
import type { InstancePlace } from './contract/restore.ts';
import { userIds } from './process.ts';

/** Numbers of the user who owns an instance's files; null: the worker's own. */
export function ownerOf(user: string | null): { uid: number; gid: number } {
  return userIds(user ?? userInfo().username);
}

/** Makes an instance's folders that are not there yet, and that of its sockets, for its user only. Throws PermissionDenied. */
export async function makeFolders(
  { directory, user }: InstancePlace,
  folders: readonly string[],
): Promise<void> {
  const owner = ownerOf(user);
  for (const folder of folders) await makeFolder(folder, owner);
  await createSocketDirectory(directory, owner);
}

/** The instance's user owns the folder above: a link that it put there must not lead root to another's folder. */
async function makeFolder(folder: string, owner: { uid: number; gid: number }): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if (!(await lstat(folder)).isDirectory()) {
    throw new HoldfastError('PermissionDenied', `${folder} is not a folder any more`, {
      hint: 'somebody changed the files of this instance: start the runbook again',
    });
  }
  await lchown(folder, owner.uid, owner.gid);
}

/** Writes a file of the instance's user, beside and renamed, so that a reader never sees half of it. */
export async function writeOwnedFile(user: string | null, path: string, text: string): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  const owner = ownerOf(user);
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.chown(owner.uid, owner.gid);
    await file.sync();
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(beside, path);
}

export async function readIfThere(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}
