import { HoldfastError } from '../../../model/failure.ts';
import { lockUntil, readRetention } from '../../retention.ts';
import { type Attempt, mustWork } from './attempt.ts';
import { LOCK_MS } from './write.ts';

/** A full is locked for as long as the last differential on it: its lock is extended. */
export const extendsLock: Attempt = async ({ writer, probe, now, signal }) => {
  if (probe.lockedUntil === null) return [];
  const until = new Date(now.getTime() + 1.5 * LOCK_MS).toISOString();
  const extend = async () => {
    await lockUntil(writer, probe, until, signal);
    const { lock } = await readRetention(writer, probe, signal);
    if (lock !== null && lock.until > (probe.lockedUntil ?? '')) return `until ${lock.until}`;
    throw new HoldfastError('RepositoryRefused', 'the lock is not longer than before', {
      hint: 'the writer needs s3:PutObjectRetention',
    });
  };
  return [await mustWork('writer: extends a lock', extend)];
};
