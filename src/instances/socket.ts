import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../model/failure.ts';

/** The kernel's limit for the path of a socket is 107 bytes (unix(7): sun_path); a lock file's name is longer. */
const PATH_LIMIT = 107;
const LONGEST_NAME = '/.s.PGSQL.65535'.length;
/** Not os.tmpdir(): that may differ from one start of the worker to the next, and may be long itself. */
const SHORT_ROOT = '/tmp';

/** Where an instance's sockets are: in its directory, or a short one of its own where that path is too long. */
export function socketDirectory(directory: string): string {
  const own = join(directory, 'socket');
  if (Buffer.byteLength(own) + LONGEST_NAME <= PATH_LIMIT) return own;
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 20);
  return join(SHORT_ROOT, `holdfast-${name}`);
}

/**
 * Makes it, for its owner only. Throws PermissionDenied where somebody else made a folder of that name,
 * who could then put a server of their own there.
 */
export async function createSocketDirectory(
  directory: string,
  owner: { uid: number; gid: number },
): Promise<string> {
  const path = socketDirectory(directory);
  try {
    await mkdir(path, { mode: 0o700 });
    await chown(path, owner.uid, owner.gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const found = await lstat(path);
    // Root's own: made by an attempt that was killed before it handed it over.
    const ours = found.isDirectory() && (found.uid === owner.uid || found.uid === process.getuid?.());
    if (!ours) {
      throw new HoldfastError('PermissionDenied', `${path} belongs to somebody else`, {
        hint: 'remove it, or give the site a directory with a shorter path',
      });
    }
    await chown(path, owner.uid, owner.gid);
    await chmod(path, 0o700);
  }
  return path;
}

/** Removes it where it lies outside of the instance's directory and belongs to the owner. */
export async function removeSocketDirectory(directory: string, owner: { uid: number }): Promise<void> {
  const path = socketDirectory(directory);
  if (path.startsWith(`${directory}/`)) return;
  const found = await lstat(path).catch(() => null);
  if (found?.isDirectory() && [owner.uid, process.getuid?.()].includes(found.uid)) {
    await rm(path, { recursive: true, force: true });
  }
}
