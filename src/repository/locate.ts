import type { LoadedConfig } from '../config/load.ts';
import { withTopology } from '../config/topology.ts';
import { HoldfastError } from '../model/failure.ts';
import { openRepository, type Repository } from './repository.ts';
import { listTopologies } from './topology.ts';

/**
 * The configuration with every database where the repository says that it lives now. Throws RepositoryUnavailable after
 * `patienceMs` at the latest, RepositoryRefused, and InvalidConfiguration for a topology that cannot be understood.
 */
export async function locateDatabases(loaded: LoadedConfig, patienceMs: number): Promise<LoadedConfig> {
  const repository = await openForReading(loaded, patienceMs);
  const signal = AbortSignal.timeout(patienceMs);
  try {
    const topologies = await listTopologies(repository, signal);
    return { ...loaded, config: withTopology(loaded.config, topologies) };
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new HoldfastError(
      'RepositoryUnavailable',
      `the repository ${repository.connection.where} did not say in time where databases live`,
      { hint: 'the S3 endpoint has to be reachable from this machine', cause: error },
    );
  } finally {
    repository.close();
  }
}

/** A host that never restores anything need not have the secrets of restores. */
async function openForReading({ config, directory }: LoadedConfig, patienceMs: number): Promise<Repository> {
  const options = { baseDirectory: directory, patienceMs };
  try {
    return await openRepository(config.repository, { ...options, use: 'restore' });
  } catch {
    return openRepository(config.repository, { ...options, use: 'backup' });
  }
}
