import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError } from '../model/failure.ts';

/** Writes what `--out` names; gives its absolute path. */
export async function writeOut(out: string, text: string): Promise<string> {
  const file = resolve(out);
  try {
    await writeFile(file, text.endsWith('\n') ? text : `${text}\n`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new HoldfastError('InvalidInput', `${file} cannot be written (${code})`, {
      hint: 'name another file with --out',
    });
  }
  return file;
}
