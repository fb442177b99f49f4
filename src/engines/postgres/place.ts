import { randomBytes } from 'node:crypto';
import { lchown, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createSocketDirectory, socketDirectory } from '../../instances/socket.ts';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { userIds } from '../process.ts';

/** The port is only part of the socket's name: an instance listens on no network. */
export const INSTANCE_PORT = 5432;

/** Where everything of a restored server lies. */
export interface Layout {
  data: string;
  tablespaces: string;
  sockets: string;
  configuration: string;
  logs: string;
  spool: string;
  locks: string;
}

export function layoutOf(place: InstancePlace): Layout {
  const under = (name: string) => join(place.directory, name);
  return {
    data: under('data'),
    tablespaces: under('tablespaces'),
    sockets: socketDirectory(place.directory),
    configuration: under('configuration'),
    logs: under('log'),
    spool: under('spool'),
    locks: under('lock'),
  };
}

/** Makes the folders that are not there yet, for the instance's user only. */
export async function prepareLayout(place: InstancePlace): Promise<Layout> {
  const layout = layoutOf(place);
  const owner = userIds(place.user ?? userInfo().username);
  for (const folder of [
    layout.data,
    layout.tablespaces,
    layout.configuration,
    layout.logs,
    layout.spool,
    layout.locks,
  ]) {
    await makeFolder(folder, owner);
  }
  await createSocketDirectory(place.directory, owner);
  return layout;
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
export async function writeOwned(place: InstancePlace, path: string, text: string): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  const owner = userIds(place.user ?? userInfo().username);
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

export function instanceAccess(
  place: InstancePlace,
  server: { user: string; database: string; production?: { port: number } },
): ServerAccess {
  return {
    host: layoutOf(place).sockets,
    port: server.production?.port ?? INSTANCE_PORT,
    user: server.user,
    password: null,
    database: server.database,
    tls: null,
  };
}

export async function readIfThere(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}
