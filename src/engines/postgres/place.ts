import { join } from 'node:path';
import { socketDirectory } from '../../instances/socket.ts';
import type { ServerAccess } from '../../model/access.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { makeFolders, writeOwnedFile } from '../owned-files.ts';

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
  const { sockets: _, ...folders } = layoutOf(place);
  await makeFolders(place, Object.values(folders));
  return layoutOf(place);
}

export function writeOwned(place: InstancePlace, path: string, text: string): Promise<void> {
  return writeOwnedFile(place.user, path, text);
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
