import type { InstancePlace } from '../contract/restore.ts';
import { endProcess, endPrograms, processesOf, withoutLinks, worksIn } from '../instance-processes.ts';
import { layoutOf } from './place.ts';

const SERVERS = new Set(['mysqld', 'mariadbd']);
/** Programs that Holdfast starts for an instance, as /proc has them, cut to 15 characters. A person's client is not among them. */
const PROGRAMS = new Set([
  ...SERVERS,
  ...['setpriv', 'mariadb-install', 'mysql_install_d', 'my_print_defaul', 'zstd', 'sh'],
]);

/**
 * The pid of the server of this place, or null. Found by its working folder and not by its pid file: that names any
 * process after a crash, and does not exist yet while a server starts.
 */
export async function serverPid(place: InstancePlace): Promise<number | null> {
  const data = await withoutLinks(layoutOf(place).data);
  const found = await processesOf(place, PROGRAMS);
  return found.find(({ name, folder }) => SERVERS.has(name) && folder === data)?.pid ?? null;
}

/** Whether that process still is the server of this place. */
export function isServer(place: InstancePlace, pid: number): Promise<boolean> {
  return worksIn(layoutOf(place).data, pid);
}

/**
 * Ends the server of a place: an orderly stop, after which nothing has to be recovered, for as long as `patienceMs`,
 * then at once. Not running is success. Throws ToolFailed where it does not end.
 */
export async function endServer(place: InstancePlace, patienceMs: number): Promise<void> {
  const pid = await serverPid(place);
  if (pid === null) return;
  await endProcess(place, { pid, data: layoutOf(place).data }, [
    ['SIGTERM', patienceMs],
    ['SIGKILL', 10_000],
  ]);
}

/** Ends what an attempt that was killed left behind: what makes a data directory, or decompresses a dump. */
export function endStrays(place: InstancePlace): Promise<void> {
  return endPrograms(place, PROGRAMS);
}
