import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { layoutOf } from './place.ts';

const SERVERS = new Set(['mysqld', 'mariadbd']);
/** Programs that Holdfast starts for an instance, as /proc has them, cut to 15 characters. A person's client is not among them. */
const PROGRAMS = new Set([
  ...SERVERS,
  ...['setpriv', 'mariadb-install', 'mysql_install_d', 'my_print_defaul', 'zstd', 'sh'],
]);

const HIDDEN_LOOKS = 20;
const HIDDEN_MS = 50;

/**
 * The pid of the server of this place, or null. Found by its working folder and not by its pid file: that names any
 * process after a crash, and does not exist yet while a server starts.
 */
export async function serverPid(place: InstancePlace): Promise<number | null> {
  const data = await workingFolder(place);
  const found = await processesOf(place);
  return found.find(({ name, folder }) => SERVERS.has(name) && folder === data)?.pid ?? null;
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

/**
 * Ends the server of a place: an orderly stop, after which nothing has to be recovered, for as long as `patienceMs`,
 * then at once. Not running is success. Throws ToolFailed where it does not end.
 */
export async function endServer(place: InstancePlace, patienceMs: number): Promise<void> {
  const pid = await serverPid(place);
  if (pid === null) return;
  for (const [signal, limit] of [
    ['SIGTERM', patienceMs],
    ['SIGKILL', 10_000],
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

/** Ends what an attempt that was killed left behind: what makes a data directory, or decompresses a dump. */
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
  name: string;
  folder: string;
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
    const [state] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (!PROGRAMS.has(name) || state === 'Z') return null;
    const folder = await readlink(`/proc/${pid}/cwd`);
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    const words = `${folder}/\0${command}\0${await readFile(`/proc/${pid}/environ`, 'utf8')}`;
    return folders.some((one) => words.includes(`${one}/`)) ? { pid, name, folder } : null;
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
