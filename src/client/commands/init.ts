import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { HoldfastError } from '../../model/failure.ts';
import { action, outputOf, printAnswer, withGlobalOptions } from '../options.ts';

const EXAMPLE = new URL('../../../holdfast.example.yaml', import.meta.url);

export function initCommand(): Command {
  const command = new Command('init')
    .description('write a commented configuration to ./holdfast.yaml, or to the file that --config names')
    .option('--force', 'overwrite a file that is there')
    .addHelpText('after', '\nExample:\n  holdfast init && holdfast config check');
  return withGlobalOptions(command).action(
    action(async (options: { force?: true; config?: string }, self: Command) => {
      const path = resolve(options.config ?? 'holdfast.yaml');
      await writeExample(path, options.force === true);
      printAnswer(
        outputOf(self),
        { path },
        `wrote ${path}\nChange it for your databases, then run \`holdfast config check\`.`,
      );
    }),
  );
}

async function writeExample(path: string, overwrite: boolean): Promise<void> {
  try {
    await writeFile(path, await readFile(EXAMPLE, 'utf8'), { flag: overwrite ? 'w' : 'wx' });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const exists = code === 'EEXIST';
    throw new HoldfastError(
      'InvalidInput',
      exists ? `${path} exists` : `${path} cannot be written (${code})`,
      { hint: exists ? 'give --force to overwrite it' : 'name another file with --config' },
    );
  }
}
