import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';

/** A process that cannot be taken for a later one with the same id. */
export interface ProcessIdentity {
  pid: number;
  /** when it started: boot id and clock ticks since boot */
  started: string;
  /** the program's file name: `minio` */
  program: string;
}

/** Null where there is no such process, or it is only a zombie's entry (source: proc(5), /proc/pid/stat). */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ]);
    // The name is in parentheses and may hold any character, so the fields are counted from its end.
    const nameEnd = stat.lastIndexOf(')');
    const fields = stat.slice(nameEnd + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return {
      pid,
      started: `${boot.trim()}/${fields[19]}`,
      program: stat.slice(stat.indexOf('(') + 1, nameEnd),
    };
  } catch {
    return null;
  }
}

/** Whether the very process that was identified still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== null && now.started === identity.started;
}

/**
 * Ends exactly this process: each signal in turn with patience after it, at last SIGKILL. Gone already is success.
 * Throws `ToolFailed` where it outlives even that.
 */
export async function endProcess(
  identity: ProcessIdentity,
  signals: readonly { signal: NodeJS.Signals; patienceMs: number }[],
): Promise<void> {
  for (const { signal, patienceMs } of [...signals, { signal: 'SIGKILL', patienceMs: 5_000 } as const]) {
    if (!(await isRunning(identity))) return;
    kill(identity.pid, signal);
    const end = Date.now() + patienceMs;
    while (Date.now() < end) {
      if (!(await isRunning(identity))) return;
      await sleep(50);
    }
  }
  throw new HoldfastError('ToolFailed', `${identity.program} (pid ${identity.pid}) does not end`);
}

/** The other processes of the session that this one leads: what a worker has started and has not ended yet. */
export async function sessionOf(leader: ProcessIdentity): Promise<ProcessIdentity[]> {
  return processesWhere(
    async (pid) => pid !== leader.pid && (await statField(pid, 'session')) === leader.pid,
  );
}

/** The processes that were started with an argument that starts so. */
export async function processesWithArgument(start: string): Promise<ProcessIdentity[]> {
  return processesWhere(async (pid) => {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return commandLine.split('\0').some((argument) => argument.startsWith(start));
  });
}

/**
 * The processes that work in a directory or below it and whose parent does not: the server of a restored instance,
 * but not the processes that it forks.
 */
export async function processesUnder(directory: string): Promise<ProcessIdentity[]> {
  const found = await processesWhere(async (pid) => {
    const workplace = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    return workplace === directory || workplace.startsWith(`${directory}/`);
  });
  const pids = new Set(found.map(({ pid }) => pid));
  const parents = await Promise.all(found.map(({ pid }) => statField(pid, 'parent')));
  return found.filter((_, index) => !pids.has(parents[index] as number));
}

async function processesWhere(matches: (pid: number) => Promise<boolean>): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || !(await matches(Number(name)))) continue;
    const identity = await identifyProcess(Number(name));
    if (identity !== null) found.push(identity);
  }
  return found;
}

/** Positions after the name in /proc/pid/stat. */
const STAT_FIELDS = { parent: 1, session: 3 } as const;

async function statField(pid: number, field: keyof typeof STAT_FIELDS): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[STAT_FIELDS[field]] ?? 0);
}

/** Gone already is success. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
