import { type Config, configSchema, type RepositoryConfig } from '../../config/schema.ts';
import type { Topology } from '../../model/topology.ts';
import { applySettings } from '../../repository/bucket/apply.ts';
import { desiredSettings } from '../../repository/bucket/desired.ts';
import { openRepository } from '../../repository/repository.ts';
import { readTopology } from '../../repository/topology.ts';
import { DATABASE, repositoryOf } from './configuration.ts';
import type { S3Facts } from './s3.ts';

/** Where a disaster recovery has taken the database, as the repository says; null: it lives where it was set up. */
export async function whereTaken(
  directory: string,
  s3: S3Facts,
  signal: AbortSignal,
): Promise<Topology | null> {
  const options = { use: 'backup', baseDirectory: directory } as const;
  const repository = await openRepository(repositoryConfig(directory, s3), options);
  try {
    return await readTopology(repository, DATABASE, signal);
  } finally {
    repository.close();
  }
}

/**
 * Gives the environment's bucket the settings that a configuration wants, whatever way the configuration takes to it: a
 * bucket of somebody else's is never touched.
 */
export async function protectBucket(
  directory: string,
  s3: S3Facts,
  config: Config,
  signal: AbortSignal,
): Promise<void> {
  const options = { use: 'admin', baseDirectory: directory } as const;
  const { connection, close } = await openRepository(repositoryConfig(directory, s3), options);
  try {
    await applySettings(connection, desiredSettings(config), signal);
  } finally {
    close();
  }
}

export function repositoryConfig(directory: string, s3: S3Facts): RepositoryConfig {
  return configSchema.shape.repository.parse(repositoryOf(directory, s3));
}
