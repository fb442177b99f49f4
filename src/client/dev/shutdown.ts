import { layoutOf } from './configuration.ts';
import {
  endProcess,
  isRunning,
  type ProcessIdentity,
  processesUnder,
  processesWithArgument,
  sessionOf,
} from './process.ts';
import {
  type DevState,
  PROGRAMS,
  type ProgramName,
  readDescription,
  readState,
  SHOP_PROGRAMS,
  WORKERS,
  writeDescription,
  writeState,
} from './state.ts';

type Signals = Parameters<typeof endProcess>[1];

/** How each program ends cleanly. PostgreSQL: SIGINT is a fast shutdown, SIGQUIT an immediate one. MySQL knows one. */
const SIGNALS: Record<ProgramName, Signals> = {
  worker: [{ signal: 'SIGTERM', patienceMs: 45_000 }],
  second: [{ signal: 'SIGTERM', patienceMs: 45_000 }],
  postgres: [
    { signal: 'SIGINT', patienceMs: 30_000 },
    { signal: 'SIGQUIT', patienceMs: 10_000 },
  ],
  mysql: [{ signal: 'SIGTERM', patienceMs: 45_000 }],
  s3: [{ signal: 'SIGTERM', patienceMs: 10_000 }],
  temporal: [{ signal: 'SIGTERM', patienceMs: 10_000 }],
};

export interface DownResult {
  /** what ran and was ended */
  ended: ProgramName[];
  /** servers that disaster recoveries made, and of restored instances, that were ended */
  takenOver: number;
  instances: number;
}

/** Ends what the environment started and nothing else; the files stay. Nothing running is success. */
export async function takeDown(
  directory: string,
  say: (line: string) => void = () => {},
): Promise<DownResult> {
  const state = await readState(directory);
  const { instances, second } = layoutOf(directory);
  const workers = await endPrograms(directory, state, WORKERS, say);
  const signals = SIGNALS[SHOP_PROGRAMS[state.shop]];
  const restored = (await endServers(instances, signals)) + (await endServers(second.instances, signals));
  // While S3 still answers: it archives.
  const takenOver = await endServers(second.production, signals, say);
  const others = await endPrograms(directory, state, PROGRAMS, say);
  return { ended: [...workers, ...others], takenOver, instances: restored };
}

/** Ends these programs where they are still the ones that were started, last started first, and forgets them. */
export async function endPrograms(
  directory: string,
  state: DevState,
  names: readonly ProgramName[],
  say: (line: string) => void = () => {},
): Promise<ProgramName[]> {
  const ended: ProgramName[] = [];
  for (const name of [...names].reverse()) {
    const identity = state.processes[name];
    if (identity !== undefined && (await isRunning(identity))) {
      say(`ending ${name} (pid ${identity.pid})`);
      await endProgram(name, identity);
      ended.push(name);
    }
    if (name === 'postgres') await endArchiving(directory);
    delete state.processes[name];
    await writeState(directory, state);
  }
  const description = await readDescription(directory);
  if (description !== null) {
    const left = Object.entries(description.pids).filter(([name]) => !names.includes(name as ProgramName));
    await writeDescription(directory, { ...description, pids: Object.fromEntries(left) });
  }
  return ended;
}

async function endProgram(name: ProgramName, identity: ProcessIdentity): Promise<void> {
  // What a worker runs for an activity has to end with it: a dump would go on into a pipe that nobody reads.
  const children = isWorker(name) ? await sessionOf(identity) : [];
  await endProcess(identity, SIGNALS[name]);
  for (const child of children) await endProcess(child, [{ signal: 'SIGTERM', patienceMs: 5_000 }]);
}

const isWorker = (name: ProgramName) => WORKERS.some((worker) => worker === name);

/** An asynchronous archive-push that found no repository goes on for a minute after its server has ended. */
async function endArchiving(directory: string): Promise<void> {
  const { pgbackrestConfig, second } = layoutOf(directory);
  for (const start of [`--config=${pgbackrestConfig}`, `--config=${second.production}/`]) {
    for (const process of await processesWithArgument(start)) {
      await endProcess(process, [{ signal: 'SIGTERM', patienceMs: 10_000 }]);
    }
  }
}

/** Ends servers by their working directory: they run in sessions of their own. */
async function endServers(
  directory: string,
  signals: Signals,
  say: (line: string) => void = () => {},
): Promise<number> {
  const servers = await processesUnder(directory);
  for (const server of servers) {
    say(`ending the server that took the database over (pid ${server.pid})`);
    await endProcess(server, signals);
  }
  return servers.length;
}
