import { randomUUID } from 'node:crypto';
import type { LoadedConfig } from '../../../config/load.ts';
import type { Finding } from '../../../model/finding.ts';
import { PROBE_FOLDER } from '../../layout.ts';
import { removeVersions } from '../../remove-versions.ts';
import { openRepository, type Repository } from '../../repository.ts';
import { readRetention } from '../../retention.ts';
import { anonymous } from './anonymous.ts';
import type { Attempt, Trial } from './attempt.ts';
import { deleteLocked } from './delete-locked.ts';
import { deleteUnlocked } from './delete-unlocked.ts';
import { encryption } from './encryption.ts';
import { settingsAreRight } from './equal.ts';
import { extendsLock } from './extend-lock.ts';
import { plainHttp } from './plain-http.ts';
import { reads, readsBelowMarker } from './read.ts';
import { restoreRole } from './restore-role.ts';
import { changeSettings } from './settings.ts';
import { shortenLock } from './shorten-lock.ts';
import { writeProbe } from './write.ts';

/** What has to work comes first: that a role may do nothing at all is no protection. */
const ATTEMPTS: readonly Attempt[] = [
  reads,
  extendsLock,
  deleteLocked,
  shortenLock,
  deleteUnlocked,
  readsBelowMarker,
  restoreRole,
  changeSettings,
  encryption,
  anonymous,
  plainHttp,
];

/** A probe that cannot be removed yet. */
export interface LeftProbe {
  key: string;
  lockedUntil: string | null;
}

/**
 * Tries what must fail, and what must work, with objects of its own: no backup is touched. Line by line as it is found; the
 * last of all is what it had to leave behind.
 */
export async function* checkBucket(
  { config, directory }: LoadedConfig,
  { now, patienceMs, signal }: { now: Date; patienceMs: number; signal: AbortSignal },
): AsyncGenerator<Finding, LeftProbe[]> {
  const opened: Repository[] = [];
  const open = async (use: 'backup' | 'restore' | 'admin') => {
    const repository = await openRepository(config.repository, { use, baseDirectory: directory, patienceMs });
    opened.push(repository);
    return repository;
  };
  try {
    const [writer, restorer, admin] = [await open('backup'), await open('restore'), await open('admin')];
    const folder = `${PROBE_FOLDER}check-${randomUUID()}/`;
    const trial = {
      config: config.repository,
      baseDirectory: directory,
      writer,
      restorer,
      admin,
      folder,
      now,
      signal,
    };
    try {
      yield await settingsAreRight(admin, config, signal);
      const { probe, finding } = await writeProbe(trial);
      yield finding;
      // Without an object of its own there is nothing that it could be tried on.
      if (probe !== null) yield* tryAll({ ...trial, probe });
    } finally {
      await removeVersions(admin, admin.versions(folder, signal));
    }
    return await leftOf(admin, folder, signal);
  } finally {
    for (const repository of opened) repository.close();
  }
}

async function* tryAll(trial: Trial): AsyncGenerator<Finding> {
  for (const attempt of ATTEMPTS) yield* await attempt(trial);
}

async function leftOf(admin: Repository, folder: string, signal: AbortSignal): Promise<LeftProbe[]> {
  const left: LeftProbe[] = [];
  for await (const { key, versionId, isDeleteMarker } of admin.versions(folder, signal)) {
    if (isDeleteMarker) continue;
    const { lock } = await readRetention(admin, { key, versionId }, signal);
    left.push({ key, lockedUntil: lock?.until ?? null });
  }
  return left;
}
