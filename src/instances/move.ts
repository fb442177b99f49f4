import { execFile } from 'node:child_process';
import { chmod, mkdir, rename, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { HoldfastError } from '../model/failure.ts';
import { createSocketDirectory, removeSocketDirectory } from './socket.ts';
import { requireEnterable, type SystemUser, systemUser } from './system-user.ts';

const run = promisify(execFile);

/** Moves a stopped server's folder, with its sockets, to where another user's servers live. */
export async function moveFolder(
  from: { site: string; directory: string; user: SystemUser },
  to: { site: string; directory: string },
  user: SystemUser,
): Promise<void> {
  const made = await mkdir(to.site, { recursive: true });
  if (made !== undefined) await chmod(to.site, 0o755);
  await requireEnterable(to.site, user);
  const [here, there] = await Promise.all([from.site, to.site].map((folder) => stat(folder)));
  if (here?.dev !== there?.dev) throw otherDisk(from.site, to.site);
  await removeSocketDirectory(from.directory, from.user);
  await rename(from.directory, to.directory).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EXDEV' ? otherDisk(from.site, to.site) : error;
  });
}

/** Gives all of it to a user. Links are not followed. */
export async function giveTo(directory: string, user: SystemUser): Promise<void> {
  await run('chown', ['-hR', `${user.uid}:${user.gid}`, '--', directory]);
  await createSocketDirectory(directory, user);
}

/** Whose a folder is: its user cannot give it away, so that this is nothing that it could have written there. */
export async function ownerOf(directory: string): Promise<SystemUser> {
  const { uid } = await stat(directory);
  const { stdout } = await run('id', ['-nu', '--', String(uid)]);
  return systemUser(stdout.trim());
}

function otherDisk(from: string, to: string): HoldfastError {
  return new HoldfastError('InvalidConfiguration', `${to} is on another disk than ${from}`, {
    hint: "a restored server becomes production without being copied: let the site's `production` be a folder on the disk of its `directory`",
  });
}
