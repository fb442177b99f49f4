import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { readAuditFacts } from '../repository/audit/read.ts';
import { desiredSettings } from '../repository/bucket/desired.ts';
import { difference } from '../repository/bucket/difference.ts';
import { type Foreseen, foresee } from '../repository/bucket/foresee.ts';
import { restorePolicy, writerPolicy } from '../repository/bucket/policies.ts';
import { readBucketSettings } from '../repository/bucket/read.ts';
import { lifecycleOf } from '../repository/lifecycle/rules.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { withRepository } from './recoverable.ts';
import type { BucketPlan } from './view/repository.ts';

/** A person waits: an S3 that does not answer within this is away. */
const PATIENCE_MS = 10_000;
/** And longer where thousands of answers are read, any of which may be slow. */
const FORESEE_PATIENCE_MS = 60_000;

/** Opens the repository with the credentials that may change it, for one command. */
export async function asAdmin<T>(
  { config, directory }: LoadedConfig,
  work: (repository: Repository) => Promise<T>,
): Promise<T> {
  const options = { use: 'admin', baseDirectory: directory, patienceMs: PATIENCE_MS } as const;
  const repository = await openRepository(config.repository, options);
  try {
    return await work(repository);
  } catch (error) {
    if (config.repository.adminCredentials !== undefined || !isForbidden(error)) throw error;
    throw new HoldfastError('RepositoryRefused', error.message, {
      hint: 'the credentials of backups may not do this, and should not: name others in repository.adminCredentials',
      cause: error,
    });
  } finally {
    repository.close();
  }
}

function isForbidden(error: unknown): error is HoldfastError {
  if (!(error instanceof HoldfastError) || error.type !== 'RepositoryRefused') return false;
  const { $metadata } = (error.cause ?? {}) as { $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode === 403;
}

/** Holds the bucket against the configuration. Throws InvalidConfiguration for a lifecycle that no S3 would take. */
export async function planBucket({ connection }: Repository, config: Config): Promise<BucketPlan> {
  const { lines, refusals } = lifecycleOf(config);
  const [refusal] = refusals;
  if (refusal !== undefined) {
    throw new HoldfastError('InvalidConfiguration', refusal.message, { hint: refusal.hint });
  }
  return {
    bucket: connection.where,
    ...difference(await readBucketSettings(connection), desiredSettings(config)),
    lines,
    policies: { writer: writerPolicy(config), restore: restorePolicy(config) },
    foreseen: null,
  };
}

/** Plays the year ahead with the settings of now and with the planned ones: every version is listed for it. */
export async function foreseePlan(loaded: LoadedConfig, run: Run): Promise<Foreseen> {
  const options = { ...run, now: new Date(), thorough: false };
  const { facts } = await withRepository(
    loaded,
    (repository) => readAuditFacts(loaded, repository, options),
    FORESEE_PATIENCE_MS,
  );
  run.progress({ phase: 'playing a year forward, twice' });
  return foresee(facts, desiredSettings(loaded.config));
}

/** Writes the documents for the roles, `writer.json` and `restore.json`; returns their paths. */
export async function writePolicies(folder: string, policies: BucketPlan['policies']): Promise<string[]> {
  const files = Object.entries(policies).map(([role, document]) => ({
    path: join(resolve(folder), `${role}.json`),
    text: `${JSON.stringify(document, null, 2)}\n`,
  }));
  try {
    await mkdir(resolve(folder), { recursive: true });
    for (const { path, text } of files) await writeFile(path, text);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new HoldfastError('InvalidInput', `${folder} cannot be written (${code})`, {
      hint: 'name a folder that you may write, or leave out --policies',
      cause: error,
    });
  }
  return files.map(({ path }) => path);
}
