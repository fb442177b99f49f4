import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import type { SecretReference } from './schema/primitives.ts';

/**
 * The secret that a reference names, without one line break at its end. A file is relative to
 * `baseDirectory`, the folder of the configuration file. Throws InvalidConfiguration, which names the
 * reference and never the value.
 */
export async function readSecret(reference: SecretReference, baseDirectory: string): Promise<string> {
  const value =
    'env' in reference ? fromVariable(reference.env) : await fromFile(reference.file, baseDirectory);
  const secret = value.replace(/\r?\n$/, '');
  if (secret === '') {
    throw new HoldfastError('InvalidConfiguration', `the secret ${describeReference(reference)} is empty`);
  }
  return secret;
}

/** `in the variable X`, `in the file path`: all that may be said about a secret. */
export function describeReference(reference: SecretReference): string {
  return 'env' in reference ? `in the variable ${reference.env}` : `in the file ${reference.file}`;
}

function fromVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new HoldfastError('InvalidConfiguration', `the secret in the variable ${name} is not set`, {
      hint: `set ${name} in the environment of the process that needs it (the worker, or this command)`,
    });
  }
  return value;
}

async function fromFile(file: string, baseDirectory: string): Promise<string> {
  const path = resolve(baseDirectory, file);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new HoldfastError(
      'InvalidConfiguration',
      `the secret in the file ${path} cannot be read (${code})`,
      {
        hint: 'the file has to exist and be readable by the user that this process runs as',
        cause: error,
      },
    );
  }
}
