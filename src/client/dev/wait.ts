import { setTimeout as sleep } from 'node:timers/promises';
import { inspectStack } from './inspection.ts';

/** Waits for the interruption and says meanwhile, once each, which programs have ended by themselves. */
export async function untilInterrupted(
  signal: AbortSignal,
  directory: string,
  say: (line: string) => void,
): Promise<void> {
  const ended = new Set<string>();
  while (!signal.aborted) {
    const { programs } = await inspectStack(directory);
    for (const { name, state, log } of programs) {
      if (state === 'running') ended.delete(name);
      else if (!ended.has(name)) {
        ended.add(name);
        say(`${name} has ended; its log is ${log}. Start it again with \`holdfast dev up --detach\``);
      }
    }
    await sleep(2_000, undefined, { signal }).catch(() => undefined);
  }
}
