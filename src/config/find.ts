import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError } from '../model/failure.ts';

const PLACES = ['holdfast.yaml', '.holdfast/holdfast.yaml'];

/**
 * The path of the configuration: the one given, HOLDFAST_CONFIG, `./holdfast.yaml`, or
 * `./.holdfast/holdfast.yaml`, which `holdfast dev up` writes. Throws InvalidConfiguration where there is none.
 */
export async function findConfig(
  options: { given?: string | undefined; directory?: string; environment?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const directory = options.directory ?? process.cwd();
  const named = options.given ?? ((options.environment ?? process.env).HOLDFAST_CONFIG || undefined);
  if (named !== undefined) return resolve(directory, named);
  for (const place of PLACES) {
    const path = resolve(directory, place);
    if (await exists(path)) return path;
  }
  throw new HoldfastError('InvalidConfiguration', `there is no ${PLACES[0]} in ${directory}`, {
    hint: 'run `holdfast init` to write one, `holdfast dev up` for a trial, or name it with --config or HOLDFAST_CONFIG',
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
