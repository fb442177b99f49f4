import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { HoldfastError } from '../model/failure.ts';

const run = promisify(execFile);

export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
  groups: number[];
}

/**
 * The operating-system user of a site. Throws InvalidConfiguration where there is none, PermissionDenied
 * where this worker may not act as that user.
 */
export async function systemUser(name: string | null): Promise<SystemUser> {
  const self = userInfo();
  const wanted = name ?? self.username;
  const [uid, gid, groups] = await Promise.all(['-u', '-g', '-G'].map((flag) => idOf(flag, wanted)));
  if (self.uid !== 0 && uid?.[0] !== self.uid) {
    throw new HoldfastError('PermissionDenied', `this worker runs as ${self.username}, not as ${wanted}`, {
      hint: `run the site's worker as root or as ${wanted}, or set the site's user to ${self.username}`,
    });
  }
  return { name: wanted, uid: uid?.[0] as number, gid: gid?.[0] as number, groups: groups ?? [] };
}

async function idOf(flag: string, name: string): Promise<number[]> {
  try {
    const { stdout } = await run('id', [flag, '--', name]);
    return stdout.trim().split(' ').map(Number);
  } catch (cause) {
    throw new HoldfastError('InvalidConfiguration', `there is no operating-system user ${name}`, {
      hint: `create it: useradd --system --no-create-home --shell /usr/sbin/nologin ${name}`,
      cause,
    });
  }
}

/** Throws PermissionDenied that names the first folder on the way down which the user may not enter. */
export async function requireEnterable(directory: string, user: SystemUser): Promise<void> {
  if (user.uid === 0) return;
  for (const folder of lineage(directory)) {
    const { mode, uid, gid } = await stat(folder);
    const shift = uid === user.uid ? 6 : user.groups.includes(gid) ? 3 : 0;
    if ((mode >> shift) & 1) continue;
    throw new HoldfastError('PermissionDenied', `${user.name} may not enter ${folder}`, {
      hint: `restored servers run as ${user.name} below ${directory}: let it pass (chmod o+x ${folder}), or give the site another directory`,
    });
  }
}

function lineage(directory: string): string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [...lineage(parent), directory];
}
