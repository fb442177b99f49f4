import { HoldfastError } from '../../../model/failure.ts';
import type { Repository } from '../../repository.ts';
import { type Attempt, mustWork, type Trial } from './attempt.ts';

export const reads: Attempt = async (trial) => [
  await mustWork('writer: reads', () => read(trial.writer, trial)),
  await mustWork('restore role: reads versions', () => read(trial.restorer, trial)),
];

/** As a restore does when somebody has deleted the backups. */
export const readsBelowMarker: Attempt = async (trial) => [
  await mustWork('restore role: reads versions below a delete marker', () => read(trial.restorer, trial)),
];

async function read(repository: Repository, { probe, signal }: Trial): Promise<string> {
  const { key, versionId, content } = probe;
  if ((await repository.getText({ key, versionId }, signal)) !== content) {
    throw new HoldfastError('RepositoryRefused', `${key} does not read as it was written`, {
      hint: 'the store does not keep what it is given: use another one',
    });
  }
  for await (const version of repository.versions(key, signal))
    if (version.versionId === versionId || versionId === null) return 'the object, and its versions';
  throw new HoldfastError('RepositoryRefused', `${key} is not among the versions that are listed`, {
    hint: 'the role needs s3:ListBucketVersions',
  });
}
