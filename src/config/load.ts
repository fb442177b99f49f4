import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import { checkConfig } from './checks.ts';
import { type ConfigIssue, configurationError } from './issue.ts';
import { type Config, configSchema } from './schema.ts';
import { describeSchemaIssues } from './schema-issues.ts';
import { readSource } from './source.ts';

export interface LoadedConfig {
  config: Config;
  /** the file, absolute */
  path: string;
  /** its directory, absolute: relative paths in the configuration are meant from here */
  directory: string;
}

/** Reads and checks a configuration file. Throws InvalidConfiguration (or NotSupported) with file, line and path. */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const file = resolve(path);
  return { config: parseConfig(await readText(file), file), path: file, directory: dirname(file) };
}

/** Checks the text of a configuration; `file` is for messages. */
export function parseConfig(text: string, file: string): Config {
  const source = readSource(text, file);
  const parsed = configSchema.safeParse(source.value ?? {});
  const issues: ConfigIssue[] = parsed.success
    ? checkConfig(parsed.data)
    : describeSchemaIssues(configSchema, source.value ?? {}, parsed.error);
  if (issues.length > 0 || !parsed.success) throw configurationError(file, issues, source.lineOf);
  return parsed.data;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new HoldfastError('InvalidConfiguration', `the configuration ${file} ${why}`, {
      hint: 'run `holdfast init` to write one, or name another with --config or HOLDFAST_CONFIG',
    });
  }
}
