import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import type { InstancePlace } from './contract/restore.ts';
import { writeOwnedFile } from './owned-files.ts';
import { userIds } from './process.ts';

/** How a restored server is started. */
export interface DetachedStart {
  program: string;
  args: readonly string[];
  /** its data directory, by which its process is found again */
  folder: string;
  /** all that it says; new */
  log: string;
  /** beside PATH, locale and time zone: it gets nothing else of the worker's */
  environment?: Record<string, string>;
  /** with all groups of its user, one of which may be who reads the TLS key */
  withGroups?: boolean;
}

/**
 * Starts the server of a place detached: it outlives this worker, and the next attempt finds it. Gives its pid; it need
 * not be ready.
 */
export async function startDetached(place: InstancePlace, start: DetachedStart): Promise<number> {
  await writeOwnedFile(place.user, start.log, '');
  const log = await open(start.log, 'a');
  try {
    const [command, ...args] = [
      ...asUser(place.user, start.withGroups === true),
      start.program,
      ...start.args,
    ];
    const child = spawn(command as string, args, {
      cwd: start.folder,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...start.environment },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return child.pid as number;
  } finally {
    await log.close();
  }
}

/** A log of each start by itself, in the folder `logs`: what it says is of this start. */
export function newLogIn(logs: string): string {
  const stamp = new Date().toISOString().replaceAll(/[-:.]/g, '');
  return join(logs, `server-${stamp}.log`);
}

export function lost(place: InstancePlace, why: string): HoldfastError {
  return new HoldfastError('InstanceLost', `the restored server in ${place.directory} cannot go on: ${why}`, {
    hint: 'start the runbook again: it restores and replays anew, and leaves alone what was imported already',
  });
}

/** setpriv without a death signal: unlike every tool, the server is to outlive the worker. */
function asUser(user: string | null, withGroups: boolean): string[] {
  if (user === null || user === userInfo().username) return [];
  const { uid, gid } = userIds(user);
  const groups = withGroups ? '--init-groups' : '--clear-groups';
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, groups, '--'];
}
