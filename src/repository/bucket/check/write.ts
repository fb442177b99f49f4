import { randomUUID } from 'node:crypto';
import { HoldfastError } from '../../../model/failure.ts';
import type { Finding } from '../../../model/finding.ts';
import { readRetention } from '../../retention.ts';
import { mustWork, type Probe, type Trial } from './attempt.ts';

/** As short as a lock can be that still holds when the last attempt is made. */
export const LOCK_MS = 60_000;

/** The writer writes an object with a lock: everything else is tried on it. Null where that did not work. */
export async function writeProbe(
  trial: Omit<Trial, 'probe'>,
): Promise<{ probe: Probe | null; finding: Finding }> {
  const { writer, config, folder, now, signal } = trial;
  const lockedUntil = config.lock === undefined ? null : new Date(now.getTime() + LOCK_MS).toISOString();
  let probe: Probe | null = null;
  const finding = await mustWork('writer: writes with a lock', async () => {
    const content = `a probe of holdfast repository check, ${randomUUID()}\n`;
    const { key, versionId } = await writer.put(`${folder}locked`, content, { lockedUntil, signal });
    const { lock } = await readRetention(writer, { key, versionId }, signal);
    probe = { key, versionId, content, lockedUntil: lock?.until ?? null };
    if (lockedUntil === null)
      return 'written; the configuration has no lock: whoever may delete versions may delete backups';
    if (lock !== null) return `locked until ${lock.until}, ${lock.mode}`;
    throw new HoldfastError('RepositoryRefused', 'what was written with a lock has none', {
      hint: 'the bucket has to have Object Lock, and the writer needs s3:GetObjectRetention to see it: holdfast repository plan',
    });
  });
  return { probe, finding };
}
