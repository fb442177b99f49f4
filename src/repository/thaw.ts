import { HeadObjectCommand, type HeadObjectCommandOutput, RestoreObjectCommand } from '@aws-sdk/client-s3';
import { type ArchiveClass, type Archived, type ThawTier, thawHours, tierFor } from '../model/archive.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { mapBounded } from './bounded.ts';
import { isNotFound } from './failure.ts';
import { type Needed, type NeededObject, neededObjects } from './needed.ts';
import type { Repository } from './repository.ts';

/** What a listing calls objects that may be out of reach; GLACIER_IR is read like any other. */
const MAYBE_ARCHIVED = ['GLACIER', 'DEEP_ARCHIVE', 'INTELLIGENT_TIERING'];
/** Somebody else has asked for it, or it came back just now. */
const COMING = ['RestoreAlreadyInProgress', 'ObjectAlreadyInActiveTierError'];
const REQUESTS_AT_ONCE = 32;
/** A copy that goes sooner may be gone before a restore has read it. */
const LASTS_MS = 12 * 3_600_000;
const DAY_MS = 86_400_000;

export interface ThawOrder {
  tier: ThawTier;
  /** how long copies can be read */
  keepMs: number;
}

export interface Thawing {
  /** objects that cannot be read yet */
  left: number;
}

/** Where an object lies, and whether it can be read there. */
interface Whereabouts {
  archive: ArchiveClass | null;
  state: 'readable' | 'coming' | 'away';
}

/** What of these objects cannot be read until it is thawed; null: everything can. */
export async function archivedOf(
  repository: Repository,
  needed: Needed,
  tier: ThawTier,
  run: Run,
): Promise<Archived | null> {
  const away = (await look(repository, needed, run)).filter(({ state }) => state !== 'readable');
  if (away.length === 0) return null;
  const archives = away.flatMap(({ archive }) => archive ?? []);
  return {
    storageClass: [...new Set(archives)].sort().join(' and '),
    objects: away.length,
    bytes: away.reduce((sum, { object }) => sum + object.sizeBytes, 0),
    hours: Math.max(...archives.map((archive) => thawHours(archive, tier))),
  };
}

/** Asks for what nobody has asked for yet, and says how much is still to come. May run any number of times. */
export async function requestThaw(
  repository: Repository,
  needed: Needed,
  order: ThawOrder,
  run: Run,
): Promise<Thawing> {
  const missing = (await look(repository, needed, run)).filter(({ state }) => state !== 'readable');
  const away = missing.filter(({ state }) => state === 'away');
  let done = 0;
  await mapBounded(away, REQUESTS_AT_ONCE, async ({ object, archive }) => {
    await ask(repository, object, archive as ArchiveClass, order, run.signal);
    done += 1;
    run.progress({ phase: 'asking for archived objects', done, total: away.length });
  });
  return { left: missing.length };
}

/** Looks at each object that may be archived, one by one: a listing does not say whether it is on its way. */
async function look(
  repository: Repository,
  needed: Needed,
  run: Run,
): Promise<({ object: NeededObject } & Whereabouts)[]> {
  run.progress({ phase: 'listing what the base and its logs need' });
  const objects = await neededObjects(repository, needed, run.signal);
  const doubtful = objects.filter(({ storageClass }) => MAYBE_ARCHIVED.includes(storageClass ?? ''));
  let done = 0;
  return mapBounded(doubtful, REQUESTS_AT_ONCE, async (object) => {
    const head = await headOf(repository, object, run.signal);
    done += 1;
    run.progress({ phase: 'looking at archived objects', done, total: doubtful.length });
    return { object, ...whereaboutsOf(head, Date.now()) };
  });
}

/** What S3 answers to HEAD: `Restore` is there once a copy was asked for, and as long as there is one. */
function whereaboutsOf(
  head: Pick<HeadObjectCommandOutput, 'StorageClass' | 'ArchiveStatus' | 'Restore'>,
  now: number,
): Whereabouts {
  const archive = archiveOf(head);
  if (archive === null) return { archive, state: 'readable' };
  const { Restore: restore = '' } = head;
  if (restore.includes('ongoing-request="true"')) return { archive, state: 'coming' };
  const until = /expiry-date="([^"]+)"/.exec(restore)?.[1];
  const stays = until !== undefined && Date.parse(until) - now > LASTS_MS;
  return { archive, state: stays ? 'readable' : 'away' };
}

/** An object of INTELLIGENT_TIERING has an archive status only as long as it is archived: it comes back for good. */
function archiveOf({
  StorageClass,
  ArchiveStatus,
}: Pick<HeadObjectCommandOutput, 'StorageClass' | 'ArchiveStatus'>): ArchiveClass | null {
  if (StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE') return StorageClass;
  return ArchiveStatus ?? null;
}

/** What is gone by now is no matter of thawing: the restore will say so. */
async function headOf(repository: Repository, object: NeededObject, signal: AbortSignal) {
  const { connection } = repository;
  const command = () => new HeadObjectCommand(placeOf(repository, object));
  try {
    return await connection.request((s3, abort) => s3.send(command(), abort), signal);
  } catch (error) {
    if (isNotFound(error)) return {};
    throw error;
  }
}

function placeOf({ connection, fullKey }: Repository, { key, versionId }: NeededObject) {
  const version = versionId == null ? {} : { VersionId: versionId };
  return { Bucket: connection.bucket, Key: fullKey(key), ...version };
}

async function ask(
  repository: Repository,
  object: NeededObject,
  archive: ArchiveClass,
  order: ThawOrder,
  signal: AbortSignal,
): Promise<void> {
  const Tier = tierFor(archive, order.tier);
  // What comes back for good is kept for no number of days.
  const days = archive.endsWith('_ACCESS') ? {} : { Days: Math.ceil(order.keepMs / DAY_MS) };
  const command = () =>
    new RestoreObjectCommand({
      ...placeOf(repository, object),
      RestoreRequest: { ...days, GlacierJobParameters: { Tier } },
    });
  await repository.connection.request(async (s3, abort) => {
    try {
      await s3.send(command(), abort);
    } catch (error) {
      const { name } = error as Error;
      if (COMING.includes(name)) return;
      if (name === 'GlacierExpeditedRetrievalNotAvailable') throw noCapacity(error);
      throw error;
    }
  }, signal);
}

function noCapacity(cause: unknown): HoldfastError {
  return new HoldfastError('RepositoryRefused', 'AWS has no capacity for expedited retrievals just now', {
    hint: 'set repository.thaw.tier to Standard, or buy provisioned capacity',
    cause,
  });
}
