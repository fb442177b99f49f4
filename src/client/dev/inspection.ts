import { layoutOf } from './configuration.ts';
import { runningPrograms } from './running.ts';
import { type DevState, PROGRAMS, type ProgramName, readState } from './state.ts';

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
  const programs = PROGRAMS.map(
    (name): ProgramStatus => ({
      name,
      state: running.has(name) ? 'running' : 'stopped',
      pid: running.has(name) ? (state.processes[name]?.pid ?? null) : null,
      address: addressOf(name, state),
      log: logOf(name, directory),
    }),
  );
  return { directory, programs };
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
      return ports.postgres === undefined ? null : `127.0.0.1:${ports.postgres}`;
    case 'worker':
      return config;
  }
}

function logOf(name: ProgramName, directory: string): string {
  const { temporal, s3, postgres, workerLog } = layoutOf(directory);
  return {
    temporal: `${temporal}/temporal.log`,
    s3: `${s3}/minio.log`,
    postgres: `${postgres}/server.log`,
    worker: workerLog,
  }[name];
}
