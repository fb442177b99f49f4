import { access as canAccess, chmod, chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { userIds } from '../../engines/process.ts';

/** Makes a folder that a server's user owns. */
export async function ownedFolder(folder: string, user: string, mode: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, mode);
  await own(folder, user);
}

export async function own(path: string, user: string): Promise<void> {
  if (process.getuid?.() !== 0 || user === userInfo().username) return;
  const { uid, gid } = userIds(user);
  await chown(path, uid, gid);
}

/** A socket's path may have 107 bytes: a deep directory gets its sockets in a folder below the temporary one. */
export async function shortSocketFolder(directory: string, user: string): Promise<string> {
  const near = join(directory, 'socket');
  if (near.length <= 80) {
    await ownedFolder(near, user, 0o755);
    return near;
  }
  const pointer = join(directory, 'socket-directory');
  const known = await readFile(pointer, 'utf8').catch(() => null);
  if (known !== null && (await exists(known))) return known;
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-socket-'));
  await ownedFolder(folder, user, 0o755);
  await writeFile(pointer, folder);
  return folder;
}

export async function exists(path: string): Promise<boolean> {
  return canAccess(path).then(
    () => true,
    () => false,
  );
}
