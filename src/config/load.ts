import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parse } from 'yaml';
import { type Config, configSchema } from './schema.ts';

export interface LoadedConfig {
  config: Config;
  /** the file, absolute */
  path: string;
  /** its directory: relative paths in the configuration are meant from here */
  directory: string;
}

export async function loadConfig(path: string): Promise<LoadedConfig> {
  return { config: configSchema.parse(parse(await readFile(path, 'utf8'))), path, directory: dirname(path) };
}
