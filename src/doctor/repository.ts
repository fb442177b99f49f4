import { randomUUID } from 'node:crypto';
import type { DatabaseView } from '../config/describe.ts';
import type { Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { PROBE_FOLDER } from '../repository/layout.ts';
import { listManifests } from '../repository/manifests.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { listTopologies } from '../repository/topology.ts';
import { type Check, type Installation, look, type Patient } from './check.ts';

/** Opens the repository of a configuration for one look. */
export async function withRepository<T>(
  { loaded: { config, directory }, patienceMs }: Pick<Installation, 'loaded' | 'patienceMs'>,
  use: 'backup' | 'restore',
  work: (repository: Repository) => Promise<T>,
): Promise<T> {
  const options = { use, baseDirectory: directory, patienceMs };
  const repository = await openRepository(config.repository, options);
  try {
    return await work(repository);
  } finally {
    repository.close();
  }
}

/** Restores read it; backups of a server that took over write it; and it says where databases live. */
export const checkRepository: Check<Pick<Installation, 'loaded' | 'patienceMs' | 'databases'>> = async (
  patient,
) => [
  await look('repository, reading', () =>
    withRepository(patient, 'restore', async (repository) => {
      for (const { name } of patient.databases) await listManifests(repository, name);
      return `the credentials of restores can read ${repository.connection.where}`;
    }),
  ),
  await look('repository, writing', () => withRepository(patient, 'backup', probe)),
  await look('topology', () =>
    withRepository(patient, 'restore', async (repository) => {
      const moved = await listTopologies(repository);
      if (moved.length === 0) return 'no database was ever moved by a disaster recovery';
      return moved.map(({ database, site, at }) => `${database} lives at ${site} since ${at}`).join('; ');
    }),
  ),
];

/** Writes something that nobody reads, reads it back and removes it. */
async function probe(repository: Repository): Promise<string> {
  const key = `${PROBE_FOLDER}${randomUUID()}`;
  const { versionId } = await repository.put(key, key);
  const read = await repository.getText(key);
  // Under a default retention only a delete marker may be laid on it.
  await repository.remove(key, versionId).catch(() => repository.remove(key));
  if (read === key) return `the credentials of backups can write ${repository.connection.where}`;
  throw new HoldfastError('RepositoryUnavailable', `${key} was written, and reads otherwise`, {
    hint: 'the store does not keep what it is given: use another one',
  });
}

/** The backup that a restore would begin with, and what it says of the server. Throws UnknownBackup. */
export async function newestBase(
  patient: Pick<Patient, 'loaded' | 'patienceMs'>,
  { name, bases }: DatabaseView,
): Promise<Manifest> {
  const manifests = await withRepository(patient, 'restore', (repository) => listManifests(repository, name));
  const possible = manifests.filter(({ tier }) => tier === bases);
  const newest = possible.toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt))[0];
  if (newest !== undefined) return newest;
  const others = bases === 'physical' ? `, but ${countOf(manifests.length, 'logical backup')}` : '';
  throw new HoldfastError('UnknownBackup', `there is no ${bases} backup of ${name}${others}`, {
    hint: `holdfast backup ${name} --tier ${bases} --wait`,
  });
}
