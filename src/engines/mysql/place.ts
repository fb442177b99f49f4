import { join } from 'node:path';
import { socketDirectory } from '../../instances/socket.ts';
import type { ServerAccess } from '../../model/access.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { makeFolders, writeOwnedFile } from '../owned-files.ts';
import { OWN_USER, READER } from './own-accounts.ts';

/** For the form only: an instance listens on no network. */
const NO_PORT = 3306;

/** Where everything of a restored server lies. */
export interface Layout {
  data: string;
  /** holds `mysqld.sock`, and admits its owner only */
  sockets: string;
  configuration: string;
  logs: string;
  /** production's binlogs, as the relay logs of the instance */
  relay: string;
  temporary: string;
  /** the only folder whose files SQL can read or write (secure_file_priv) */
  files: string;
  /** stays empty: no library can be loaded from it */
  plugins: string;
}

export function layoutOf(place: InstancePlace): Layout {
  const under = (name: string) => join(place.directory, name);
  return {
    data: under('data'),
    sockets: socketDirectory(place.directory),
    configuration: under('configuration'),
    logs: under('log'),
    relay: under('relay'),
    temporary: under('temporary'),
    files: under('files'),
    plugins: under('plugins'),
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

/** As Holdfast itself: may write although the copy is read-only for everybody else. */
export function instanceAccess(place: InstancePlace, database = ''): ServerAccess {
  return {
    host: layoutOf(place).sockets,
    port: NO_PORT,
    user: OWN_USER,
    password: null,
    database,
    tls: null,
  };
}

/** For people: as an account that can only read. */
export function instanceUrl(place: InstancePlace, database: string): string {
  const socket = join(layoutOf(place).sockets, 'mysqld.sock');
  return `mysql://${READER}@/${encodeURIComponent(database)}?socket=${encodeURIComponent(socket)}`;
}
