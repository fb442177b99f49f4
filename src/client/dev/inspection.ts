import { join } from 'node:path';
import { layoutOf, SECOND } from './configuration.ts';
import { runningPrograms } from './running.ts';
import { type DevState, PROGRAMS, type ProgramName, readState, SHOP_PROGRAMS } from './state.ts';
import { type TakenOver, takenOver } from './taken-over.ts';

export interface ProgramStatus {
  name: ProgramName;
  state: 'running' | 'stopped';
  pid: number | null;
  /** where it listens or, for the worker, with which configuration it runs; null: never started */
  address: string | null;
  log: string;
}

export interface StackStatus {
  directory: string;
  programs: ProgramStatus[];
}

/** What of an environment runs. */
export async function inspectStack(directory: string): Promise<StackStatus> {
  const state = await readState(directory);
  const running = await runningPrograms(state);
  const own = SHOP_PROGRAMS[state.shop];
  const others = Object.values(SHOP_PROGRAMS).filter((name) => name !== own);
  const programs = PROGRAMS.filter(
    (name) => !others.some((other) => other === name) && (name !== 'second' || state.second),
  ).map(
    (name): ProgramStatus => ({
      name,
      state: running.has(name) ? 'running' : 'stopped',
      pid: running.has(name) ? (state.processes[name]?.pid ?? null) : null,
      address: addressOf(name, state),
      log: logOf(name, directory),
    }),
  );
  const taken = await takenOver(directory);
  return {
    directory,
    programs: programs.map((program) =>
      taken && program.name === 'postgres' ? livingAt(taken, state) : program,
    ),
  };
}

/** The database lives where it was taken to: whether its old server runs is not asked here. */
function livingAt({ directory, pid }: TakenOver, { takeoverPort }: DevState): ProgramStatus {
  return {
    name: 'postgres',
    state: pid === null ? 'stopped' : 'running',
    pid,
    address: `127.0.0.1:${takeoverPort}, at site ${SECOND}`,
    log: join(directory, 'log'),
  };
}

function addressOf(name: ProgramName, { ports, s3, config }: DevState): string | null {
  switch (name) {
    case 'temporal':
      return ports.temporal === undefined
        ? null
        : `127.0.0.1:${ports.temporal}, UI http://127.0.0.1:${ports.ui}`;
    case 's3':
      return s3?.endpoint ?? null;
    case 'postgres':
    case 'mysql':
      return ports[name] === undefined ? null : `127.0.0.1:${ports[name]}`;
    case 'worker':
    case 'second':
      return config;
  }
}

function logOf(name: ProgramName, directory: string): string {
  const { temporal, s3, postgres, mysql, workers } = layoutOf(directory);
  return {
    temporal: `${temporal}/temporal.log`,
    s3: `${s3}/minio.log`,
    postgres: `${postgres}/server.log`,
    mysql: `${mysql}/server.log`,
    worker: workers.worker.log,
    second: workers.second.log,
  }[name];
}
