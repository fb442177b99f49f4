import type { Finding } from '../../../model/finding.ts';
import type { ListedVersion } from '../../repository.ts';
import { type Attempt, mustFail, mustWork, POLICIES, type Trial } from './attempt.ts';

/**
 * The writer may lay a delete marker, as the tool's expiry does, and not take it away: a marker is a version that has no
 * lock, so that nothing but the role's own policy protects it.
 */
export const deleteUnlocked: Attempt = async (trial) => {
  const { writer, probe, signal } = trial;
  const findings: Finding[] = [
    await mustWork('writer: lays a delete marker', async () => {
      await writer.remove(probe.key);
      return 'as the clean-up of an aborted backup does';
    }),
  ];
  const version = await unlockedVersion(trial, signal).catch(() => null);
  if (version === null) return findings;
  const found = {
    detail: 'a version without a lock was deleted for good: so can be whatever no lock protects any more',
    hint: `deny s3:DeleteObjectVersion to repository.credentials: ${POLICIES}`,
  };
  findings.push(
    await mustFail('writer: deletes a version without a lock', found, () =>
      writer.remove(version.key, version.versionId),
    ),
  );
  return findings;
};

async function unlockedVersion({ writer, probe }: Trial, signal: AbortSignal): Promise<ListedVersion | null> {
  let version: ListedVersion | null = null;
  for await (const one of writer.versions(probe.key, signal))
    if (one.isDeleteMarker || (version === null && probe.lockedUntil === null)) version = one;
  return version;
}
