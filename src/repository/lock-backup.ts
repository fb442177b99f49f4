import type { Run } from '../model/progress.ts';
import { mapBounded } from './bounded.ts';
import { isNotFound } from './failure.ts';
import { manifestFolder, toolBackupFolder, toolInfoKeys } from './layout.ts';
import type { ListedVersion, Repository } from './repository.ts';
import { lockUntil, readRetention } from './retention.ts';
import { currentVersions } from './stacks.ts';

const LOCKS_AT_ONCE = 16;
const TOOL_MANIFEST = 'backup.manifest';
/**
 * The bucket's default retention counts from when each object was written: of the first ones it ends earlier than the
 * manifest's, by as long as the backup took.
 */
const VOUCHED_MS = 86_400_000;

/** A backup of a tool, by its folder in the tool's tree. */
export interface ToolBackup {
  database: string;
  stanza: string;
  id: string;
}

/**
 * Locks everything of a complete backup: what the tool wrote, in the versions of now, and what we keep beside it. The
 * tool's manifest goes last, and its date vouches for the rest: where that is a day behind `least`, nothing is done. An
 * attempt that was killed is done again.
 */
export async function lockToolBackup(
  repository: Repository,
  backup: ToolBackup,
  { least, until }: { least: string; until: string },
  run: Run,
): Promise<void> {
  const folder = `${toolBackupFolder(backup.stanza)}${backup.id}/`;
  const manifest = `${folder}${TOOL_MANIFEST}`;
  if (await isLocked(repository, manifest, least, run.signal)) return;
  const objects = await currentVersions(repository, folder, run.signal);
  const last = objects.find(({ key }) => key === manifest);
  let done = 0;
  const lock = async (version: ListedVersion) => {
    await lockUntil(repository, version, until, run.signal);
    done += 1;
    run.progress({ phase: `locking ${backup.id}`, done, total: objects.length });
  };
  const records = `${manifestFolder(backup.database)}${backup.id}`;
  for (const prefix of [`${records}.`, `${records}/`]) {
    const found = await currentVersions(repository, prefix, run.signal);
    for (const version of found) await lockUntil(repository, version, until, run.signal);
  }
  await mapBounded(
    objects.filter((object) => object !== last),
    LOCKS_AT_ONCE,
    lock,
  );
  if (last !== undefined) await lock(last);
}

/**
 * Locks what the tool reads before anything else: without these few files, which hold the keys of the encryption, no
 * backup of the stanza can be read.
 */
export async function lockToolFiles(
  repository: Repository,
  stanza: string,
  until: string,
  signal: AbortSignal,
): Promise<void> {
  const { backup, archive } = toolInfoKeys(stanza);
  for (const key of [...backup, ...archive]) {
    await lockUntil(repository, { key, versionId: null }, until, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
}

async function isLocked(
  repository: Repository,
  key: string,
  least: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { lock } = await readRetention(repository, { key, versionId: null }, signal);
    return lock !== null && Date.parse(lock.until) >= Date.parse(least) + VOUCHED_MS;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
