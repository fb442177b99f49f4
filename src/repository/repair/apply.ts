import { DeleteObjectsCommand } from '@aws-sdk/client-s3';
import type { StoredObject } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { mapBounded } from '../bounded.ts';
import { copyObject } from '../copy.ts';
import type { Repository } from '../repository.ts';
import { lockUntil, readRetention } from '../retention.ts';
import type { Mend } from './area.ts';
import { type PutBack, recordCopies } from './copies.ts';

export interface Repaired {
  copied: number;
  markersRemoved: number;
  /** keys that had been removed before, and are again */
  hidden: number;
  /** what could not be done, and why */
  failed: { key: string; why: string; hint: string | null }[];
}

const COPIES_AT_ONCE = 8;
/** S3's own limit of one request. */
const MARKERS_AT_ONCE = 1_000;
/** What S3 says of a single key of a request while it is overloaded. */
const BUSY = ['SlowDown', 'InternalError', 'ServiceUnavailable'];

/**
 * Puts good versions back on top, in the order of the plan. Nothing but delete markers is removed: what was written over
 * a backup stays beneath, for whoever wants to know what it was. What fails does not stop the rest.
 */
export async function applyRepair(
  repository: Repository,
  mends: readonly Mend[],
  { now, run }: { now: Date; run: Run },
): Promise<Repaired> {
  const repaired: Repaired = { copied: 0, markersRemoved: 0, hidden: 0, failed: [] };
  const total = mends.length;
  for (let done = 0; done < total; done += MARKERS_AT_ONCE) {
    run.progress({ phase: 'putting versions back on top', done, total });
    const portion = mends.slice(done, done + MARKERS_AT_ONCE);
    const copies: PutBack[] = [];
    const fail = (key: string, error: unknown) => {
      run.signal.throwIfAborted();
      const { message } = error as Error;
      const hint = error instanceof HoldfastError ? (error.hint ?? null) : null;
      repaired.failed.push({ key, why: message, hint });
    };
    await mapBounded(portion, COPIES_AT_ONCE, async (mend) => {
      try {
        if (mend.good === null) {
          await repository.remove(mend.key);
          repaired.hidden += 1;
        } else if (mend.copy) {
          const to = await putBack(repository, { ...mend, ...mend.good }, now, run.signal);
          const { versionId: from } = mend.good;
          if (from !== null && to !== null) copies.push({ key: mend.key, from, to });
          repaired.copied += 1;
        }
      } catch (error) {
        fail(mend.key, error);
      }
    });
    await recordCopies(repository, copies, now);
    // Without the copy, what was written over it would be read.
    const uncovered = portion.filter(({ key }) => !repaired.failed.some((failure) => failure.key === key));
    repaired.markersRemoved += await removeMarkers(repository, uncovered, fail, run.signal);
  }
  return repaired;
}

async function putBack(
  repository: Repository,
  version: Pick<Mend, 'key' | 'lockedUntil'> & NonNullable<Mend['good']>,
  now: Date,
  signal: AbortSignal,
): Promise<string | null> {
  const { key, versionId, sizeBytes, lockedUntil, storageClass } = version;
  const isLocked = lockedUntil !== null && Date.parse(lockedUntil) > now.getTime();
  const copy = await copyObject(repository, { key, versionId, sizeBytes }, key, {
    ...(isLocked ? { lockedUntil } : {}),
    ...(storageClass === 'STANDARD' ? {} : { storageClass }),
    signal,
  });
  if (lockedUntil === null) await keepLock(repository, { key, versionId }, copy, { now, signal });
  return copy.versionId;
}

/** A copy has the bucket's own retention: where no backup names a date, that of the version that it is of counts too. */
async function keepLock(
  repository: Repository,
  from: Pick<StoredObject, 'key' | 'versionId'>,
  copy: Pick<StoredObject, 'key' | 'versionId'>,
  { now, signal }: { now: Date; signal: AbortSignal },
): Promise<void> {
  const { lock } = await readRetention(repository, from, signal);
  if (lock === null || Date.parse(lock.until) <= now.getTime()) return;
  await lockUntil(repository, copy, lock.until, signal);
}

/** Returns how many are gone; one that was gone already counts. */
async function removeMarkers(
  { connection, fullKey }: Repository,
  mends: readonly Mend[],
  fail: (key: string, error: unknown) => void,
  signal: AbortSignal,
): Promise<number> {
  const all = mends.flatMap(({ key, markers }) => markers.map((versionId) => ({ key, versionId })));
  let removed = 0;
  for (let index = 0; index < all.length; index += MARKERS_AT_ONCE) {
    const portion = all.slice(index, index + MARKERS_AT_ONCE);
    const command = () =>
      new DeleteObjectsCommand({
        Bucket: connection.bucket,
        Delete: {
          Quiet: true,
          Objects: portion.map(({ key, versionId }) => ({ Key: fullKey(key), VersionId: versionId })),
        },
      });
    const answer = await connection.request(async (s3, abort) => {
      const said = await s3.send(command(), abort);
      const busy = said.Errors?.find(({ Code }) => BUSY.includes(Code ?? ''));
      if (busy === undefined) return said;
      throw Object.assign(new Error(busy.Message), { name: busy.Code, $metadata: { httpStatusCode: 503 } });
    }, signal);
    const errors = new Map((answer.Errors ?? []).map((error) => [error.Key, error.Code]));
    for (const { key } of portion) {
      const code = errors.get(fullKey(key));
      if (code === undefined) removed += 1;
      else fail(key, refusedMarker(code));
    }
  }
  return removed;
}

function refusedMarker(code: string): HoldfastError {
  return new HoldfastError('RepositoryRefused', `its delete marker could not be removed (${code})`, {
    hint: 'removing a marker is deleting a version: repository.adminCredentials have to be allowed to',
  });
}
