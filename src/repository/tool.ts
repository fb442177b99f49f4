import { resolve } from 'node:path';
import type { RepositoryConfig } from '../config/schema.ts';
import { readSecret } from '../config/secrets.ts';
import type { ToolRepository } from '../engines/contract/backup.ts';
import { credentialsFor } from './client.ts';
import { TOOL_FOLDER } from './layout.ts';

/** The repository as pgBackRest needs it: the same bucket, its own folder (`folder`: another) and its own encryption. */
export async function toolRepository(
  config: RepositoryConfig,
  options: { use: 'backup' | 'restore'; baseDirectory: string; folder?: string },
): Promise<ToolRepository> {
  return {
    endpoint: config.endpoint === undefined ? null : new URL(config.endpoint).host,
    region: config.region,
    bucket: config.bucket,
    path: `${config.prefix}${options.folder ?? TOOL_FOLDER}`,
    pathStyle: config.pathStyle,
    caFile: config.caFile === undefined ? null : resolve(options.baseDirectory, config.caFile),
    credentials: await credentialsFor(config, options),
    kmsKeyId: config.kmsKeyId ?? null,
    cipher: config.cipher === undefined ? null : await readSecret(config.cipher, options.baseDirectory),
  };
}
