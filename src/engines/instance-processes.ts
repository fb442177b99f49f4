import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../model/failure.ts';
import type { InstancePlace } from './contract/restore.ts';

const HIDDEN_LOOKS = 20;
const HIDDEN_MS = 50;

/** A process that works for an instance. */
export interface InstanceProcess {
  pid: number;
  parent: number;
  /** as /proc has it, cut to 15 characters */
  name: string;
  /** the one that it works in */
  folder: string;
  /** its arguments, or the title that it gave itself */
  command: string;
}

/**
 * Those of `programs` whose folder, arguments or environment name the instance. Linux only: there, /proc shows them of
 * the worker's and the site's processes.
 */
export async function processesOf(
  place: InstancePlace,
  programs: ReadonlySet<string>,
): Promise<InstanceProcess[]> {
  const folders = [place.directory, await withoutLinks(place.directory)];
  const names = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((name) => inspect(Number(name), folders, programs)),
  );
  return found.filter((one) => one !== null);
}

async function inspect(
  pid: number,
  folders: readonly string[],
  programs: ReadonlySet<string>,
): Promise<InstanceProcess | null> {
  if (pid === process.pid) return null;
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name is in parentheses and may hold any character (proc(5)).
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (!programs.has(name) || state === 'Z') return null;
    const folder = await readlink(`/proc/${pid}/cwd`);
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    const words = `${folder}/\0${command}\0${await readFile(`/proc/${pid}/environ`, 'utf8')}`;
    const belongs = folders.some((one) => words.includes(`${one}/`));
    return belongs ? { pid, parent: Number(parent), name, folder, command } : null;
  } catch {
    // ended since, or somebody else's
    return null;
  }
}

/** As /proc names a folder: without symbolic links. */
export async function withoutLinks(folder: string): Promise<string> {
  return realpath(folder).catch(() => folder);
}

/** Whether that process is there and works in that folder. */
export async function worksIn(folder: string, pid: number): Promise<boolean> {
  const named = await withoutLinks(folder);
  for (let tries = 1; ; tries += 1) {
    try {
      return (await readlink(`/proc/${pid}/cwd`)) === named;
    } catch (error) {
      // From giving up root's rights to its exec a process shows its folder to nobody (proc(5), PR_SET_DUMPABLE).
      if ((error as NodeJS.ErrnoException).code !== 'EACCES' || tries === HIDDEN_LOOKS) return false;
      await sleep(HIDDEN_MS);
    }
  }
}

/**
 * Ends a place's server, which works in the folder `data`: by one signal after the other, each for as long as it says.
 * Throws ToolFailed where it does not end.
 */
export async function endProcess(
  place: InstancePlace,
  { pid, data }: { pid: number; data: string },
  signals: readonly (readonly [signal: NodeJS.Signals, patienceMs: number])[],
): Promise<void> {
  for (const [signal, limit] of signals) {
    send(pid, signal);
    const end = Date.now() + limit;
    while (Date.now() < end) {
      if (!(await worksIn(data, pid))) return;
      await sleep(50);
    }
  }
  throw new HoldfastError('ToolFailed', `the restored server (pid ${pid}) does not end`, {
    hint: `end it by hand; its files are in ${place.directory}`,
  });
}

/** Ends every one of these programs that works for the instance, at once. Throws ToolFailed where one does not end. */
export async function endPrograms(place: InstancePlace, programs: ReadonlySet<string>): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    const strays = await processesOf(place, programs);
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

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // already gone
  }
}
