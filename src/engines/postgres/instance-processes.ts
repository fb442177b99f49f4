import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { layoutOf } from './place.ts';

/** Programs that Holdfast starts for an instance. A person's psql is not among them. */
const PROGRAMS = new Set(['setpriv', 'postgres', 'pgbackrest', 'pg_checksums', 'pg_amcheck', 'sh']);

const HIDDEN_LOOKS = 20;
const HIDDEN_MS = 50;

/**
 * The pid of the server of this place, or null. Found by its working folder and not by postmaster.pid:
 * that names any process after a crash, and does not exist yet while a server starts.
 */
export async function serverPid(place: InstancePlace): Promise<number | null> {
  const data = await workingFolder(place);
  const servers = (await processesOf(place)).filter(
    ({ name, folder, isChild }) => name === 'postgres' && folder === data && !isChild,
  );
  const pids = new Set(servers.map(({ pid }) => pid));
  return servers.find(({ parent }) => !pids.has(parent))?.pid ?? null;
}

/** Whether that process still is the server of this place. */
export async function isServer(place: InstancePlace, pid: number): Promise<boolean> {
  const data = await workingFolder(place);
  for (let tries = 1; ; tries += 1) {
    try {
      return (await readlink(`/proc/${pid}/cwd`)) === data;
    } catch (error) {
      // From giving up root's rights to its exec a process shows its folder to nobody (proc(5), PR_SET_DUMPABLE).
      if ((error as NodeJS.ErrnoException).code !== 'EACCES' || tries === HIDDEN_LOOKS) return false;
      await sleep(HIDDEN_MS);
    }
  }
}

/** /proc names folders without symbolic links. */
async function workingFolder(place: InstancePlace): Promise<string> {
  const { data } = layoutOf(place);
  return realpath(data).catch(() => data);
}

/** The log that the server's startup process is at, from its title; null where it says nothing. */
export async function logInReplay(place: InstancePlace, server: number): Promise<string | null> {
  for (const { pid, parent } of await processesOf(place)) {
    if (parent !== server) continue;
    const title = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const found = /startup\s+(?:recovering|waiting for) ([0-9A-F]{24})/.exec(title);
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
  for (const [signal, limit] of [
    ['SIGINT', patienceMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    send(pid, signal);
    const end = Date.now() + limit;
    while (Date.now() < end) {
      if (!(await isServer(place, pid))) return;
      await sleep(50);
    }
  }
  throw new HoldfastError('ToolFailed', `the restored server (pid ${pid}) does not end`, {
    hint: `end it by hand; its files are in ${place.directory}`,
  });
}

/** Ends what an attempt that was killed left behind: backends without a server, pgBackRest's own helpers. */
export async function endStrays(place: InstancePlace): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    const strays = await processesOf(place);
    if (strays.length === 0) return;
    if (Date.now() > end) {
      const names = strays.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
      throw new HoldfastError('ToolFailed', `processes of the instance do not end: ${names}`, {
        hint: `end them by hand; they work in ${place.directory}`,
      });
    }
    for (const { pid } of strays) send(pid, 'SIGKILL');
    await sleep(50);
  }
}

interface InstanceProcess {
  pid: number;
  parent: number;
  name: string;
  folder: string;
  /** of PostgreSQL's, by its title: one at its work may outlive the server for minutes */
  isChild: boolean;
}

/** Linux only: there, /proc shows folder, arguments and environment of the worker's and the site's processes. */
async function processesOf(place: InstancePlace): Promise<InstanceProcess[]> {
  const folders = [place.directory, await realpath(place.directory).catch(() => place.directory)];
  const names = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((name) => inspect(Number(name), folders)),
  );
  return found.filter((one) => one !== null);
}

async function inspect(pid: number, folders: string[]): Promise<InstanceProcess | null> {
  if (pid === process.pid) return null;
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name is in parentheses and may hold any character (proc(5)).
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (!PROGRAMS.has(name) || state === 'Z') return null;
    const folder = await readlink(`/proc/${pid}/cwd`);
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    const words = `${folder}\0${command}\0${await readFile(`/proc/${pid}/environ`, 'utf8')}`;
    const belongs = folders.some((one) => words.includes(`${one}/`));
    return belongs
      ? { pid, parent: Number(parent), name, folder, isChild: command.startsWith('postgres: ') }
      : null;
  } catch {
    // ended since, or somebody else's
    return null;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // already gone
  }
}
