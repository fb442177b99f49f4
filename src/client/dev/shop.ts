import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Config, configSchema, type RepositoryConfig } from '../../config/schema.ts';
import { postgres as engine } from '../../engines/postgres/postgres.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Topology } from '../../model/topology.ts';
import { applySettings } from '../../repository/bucket/apply.ts';
import { desiredSettings } from '../../repository/bucket/desired.ts';
import { openRepository } from '../../repository/repository.ts';
import { toolRepository } from '../../repository/tool.ts';
import { readTopology } from '../../repository/topology.ts';
import { DATABASE, layoutOf, makeSecretsDirectory, repositoryOf } from './configuration.ts';
import { type RunningPostgres, runningPid, startPostgres, stopPostgres } from './postgres.ts';
import type { S3Facts } from './s3.ts';
import { writePrivate } from './state.ts';

const MAJOR = 15;
export const SYSTEM_USER = 'postgres';

/** Starts the sample database where it was set up. */
export async function startShop(
  directory: string,
  port: number,
  s3: S3Facts,
  signal: AbortSignal,
): Promise<RunningPostgres> {
  const { postgres, secrets } = layoutOf(directory);
  await makeSecretsDirectory(directory);
  // Made up the first time.
  await secretIn(secrets.cipher);
  const repository = await toolRepository(repositoryConfig(directory, s3), {
    use: 'backup',
    baseDirectory: directory,
  });
  return startPostgres({
    directory: postgres,
    port,
    major: MAJOR,
    systemUser: SYSTEM_USER,
    archive: { repository, stanza: DATABASE },
    password: await secretIn(secrets.password),
    database: DATABASE,
    extensions: ['amcheck'],
    signal,
  });
}

export async function stopShop(directory: string): Promise<void> {
  const dataDirectory = layoutOf(directory).postgresData;
  await stopPostgres({ dataDirectory, major: MAJOR, systemUser: SYSTEM_USER });
}

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

function repositoryConfig(directory: string, s3: S3Facts): RepositoryConfig {
  return configSchema.shape.repository.parse(repositoryOf(directory, s3));
}

/** Starts the server that took the database over, where it does not run. Throws InstanceLost, ToolFailed. */
export async function startTakenOver(
  { dataDirectory, systemUser }: Topology,
  signal: AbortSignal,
): Promise<number> {
  const place = { directory: dirname(dataDirectory), user: systemUser };
  await engine.ensureRunning(place, { signal, progress: () => {} });
  const pid = await runningPid(dataDirectory);
  if (pid !== null) return pid;
  throw new HoldfastError('ToolFailed', `the server in ${dataDirectory} ended right after its start`, {
    hint: `see its newest log in ${place.directory}/log`,
  });
}

/** The secret of a file; made up the first time. */
async function secretIn(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const secret = randomBytes(24).toString('base64url');
    await writePrivate(file, secret);
    return secret;
  }
}
