import type { InstancePlace } from '../contract/restore.ts';
import { endProcess, endPrograms, processesOf, withoutLinks, worksIn } from '../instance-processes.ts';
import { layoutOf } from './place.ts';

/** Programs that Holdfast starts for an instance. A person's psql is not among them. */
const PROGRAMS = new Set(['setpriv', 'postgres', 'pgbackrest', 'pg_checksums', 'pg_amcheck', 'sh']);
/** How a child of the server begins its title: at its work one may outlive the server for minutes. */
const CHILD = 'postgres: ';

/**
 * The pid of the server of this place, or null. Found by its working folder and not by postmaster.pid:
 * that names any process after a crash, and does not exist yet while a server starts.
 */
export async function serverPid(place: InstancePlace): Promise<number | null> {
  const data = await withoutLinks(layoutOf(place).data);
  const servers = (await processesOf(place, PROGRAMS)).filter(
    ({ name, folder, command }) => name === 'postgres' && folder === data && !command.startsWith(CHILD),
  );
  const pids = new Set(servers.map(({ pid }) => pid));
  return servers.find(({ parent }) => !pids.has(parent))?.pid ?? null;
}

/** Whether that process still is the server of this place. */
export function isServer(place: InstancePlace, pid: number): Promise<boolean> {
  return worksIn(layoutOf(place).data, pid);
}

/** The log that the server's startup process is at, from its title; null where it says nothing. */
export async function logInReplay(place: InstancePlace, server: number): Promise<string | null> {
  for (const { parent, command } of await processesOf(place, PROGRAMS)) {
    if (parent !== server) continue;
    const found = /startup\s+(?:recovering|waiting for) ([0-9A-F]{24})/.exec(command);
    if (found !== null) return found[1] as string;
  }
  return null;
}

/**
 * Ends the server of a place: an orderly stop, which keeps the data directory clean, for as long as
 * `patienceMs`, then at once. Not running is success. Throws ToolFailed where it does not end.
 */
export async function endServer(place: InstancePlace, patienceMs: number): Promise<void> {
  const pid = await serverPid(place);
  if (pid === null) return;
  await endProcess(place, { pid, data: layoutOf(place).data }, [
    ['SIGINT', patienceMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ]);
}

/** Ends what an attempt that was killed left behind: backends without a server, pgBackRest's own helpers. */
export function endStrays(place: InstancePlace): Promise<void> {
  return endPrograms(place, PROGRAMS);
}
