import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { withoutTemporal } from '../dev/worker.ts';
import { style } from '../output.ts';

const HOLDFAST = fileURLToPath(new URL('../../../bin/holdfast', import.meta.url));

/** Runs a command of the CLI as a person would, and returns what it shows. Throws where it fails. */
export async function runHoldfast(args: readonly string[], signal: AbortSignal): Promise<string> {
  const colour = style('bold', 'x') === 'x' ? {} : { FORCE_COLOR: '1' };
  const { all } = await execa(HOLDFAST, args, {
    all: true,
    cancelSignal: signal,
    env: { ...withoutTemporal(process.env), ...colour },
    extendEnv: false,
  });
  return all;
}
