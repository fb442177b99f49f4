import { isRunning } from './process.ts';
import { type DevState, PROGRAMS, type ProgramName } from './state.ts';

/** The programs of the state that really run. */
export async function runningPrograms(state: DevState): Promise<Set<ProgramName>> {
  const running = new Set<ProgramName>();
  for (const name of PROGRAMS) {
    const identity = state.processes[name];
    if (identity !== undefined && (await isRunning(identity))) running.add(name);
  }
  return running;
}

export function pidsOf(state: DevState): Record<string, number> {
  return Object.fromEntries(Object.entries(state.processes).map(([name, { pid }]) => [name, pid]));
}
