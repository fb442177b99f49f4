import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export const RUN_VARIABLE = 'HOLDFAST_TEST_RUN';

/** What tools keep in a temporary folder on purpose. */
const NOT_OURS = ['node-compile-cache'];
/** How long servers that were told to stop may take before they count as left behind. */
const SETTLE_MS = 10_000;

export interface LeakedProcess {
  pid: number;
  command: string;
  ports: number[];
}
export interface Leaks {
  processes: LeakedProcess[];
  /** names in the run's temporary folder */
  files: string[];
}
interface Run {
  run: string;
  directory: string;
}

/** Everything of a run that is still there. Linux only: elsewhere there is no /proc, and only files are found. */
export async function findLeaks(run: Run, settleMs = SETTLE_MS): Promise<Leaks> {
  const until = Date.now() + settleMs;
  let processes = await processesOf(run);
  while (processes.length > 0 && Date.now() < until) {
    await sleep(250);
    processes = await processesOf(run);
  }
  const files = (await readdir(run.directory)).filter((name) => !NOT_OURS.includes(name));
  return { processes, files };
}

/** Ends what is left, so that one bad test does not spoil the machine for the next run. */
export async function endLeftovers(leaks: Leaks): Promise<void> {
  for (const { pid } of leaks.processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it ended in the meantime
    }
  }
  if (leaks.processes.length > 0) await sleep(500);
}

export function describeLeaks(leaks: Leaks): string {
  const lines = leaks.processes.map(({ pid, command, ports }) => {
    const listening = ports.length === 0 ? '' : ` (listening on ${ports.join(', ')})`;
    return `- process ${pid}: ${command}${listening}`;
  });
  return [...lines, ...leaks.files.map((name) => `- temporary file or folder: ${name}`)].join('\n');
}

/**
 * A process is of this run when it inherited the marker, or names the run's folder on its command line or as
 * its working directory: PostgreSQL overwrites its environment with its title, and some start with a clean one.
 */
async function processesOf({ run, directory }: Run): Promise<LeakedProcess[]> {
  const found: LeakedProcess[] = [];
  for (const entry of await readdir('/proc').catch(() => [])) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = (await read(`/proc/${pid}/cmdline`)).replaceAll('\0', ' ').trim();
    // No command line: a zombie, or a thread of the kernel.
    if (command === '' || isRunner(command)) continue;
    const marked =
      command.includes(directory) ||
      (await read(`/proc/${pid}/environ`)).includes(`${RUN_VARIABLE}=${run}`) ||
      (await readlink(`/proc/${pid}/cwd`).catch(() => '')).startsWith(directory);
    if (marked) found.push({ pid, command: command.slice(0, 200), ports: await portsOf(pid) });
  }
  return found;
}

/** Workers and the watchdog of the test runner, and the compiler it keeps, are its own to end. */
function isRunner(command: string): boolean {
  return /node_modules\/(?:vitest|@esbuild|rolldown)\b|^(?:node \()?vitest/.test(command);
}

async function portsOf(pid: number): Promise<number[]> {
  const sockets = new Set<string>();
  for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const link = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
    if (inode !== undefined) sockets.add(inode);
  }
  const ports = new Set<number>();
  for (const table of ['tcp', 'tcp6']) {
    for (const line of (await read(`/proc/${pid}/net/${table}`)).split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      const listening = state === '0A' && inode !== undefined && sockets.has(inode);
      if (listening) ports.add(Number.parseInt(local?.split(':')[1] ?? '', 16));
    }
  }
  return [...ports];
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}
