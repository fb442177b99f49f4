import type { BackupTier, Manifest } from '../../model/backup.ts';
import type { NoSnapshot } from '../../model/snapshot.ts';
import type { SnapshotTier } from '../../model/tier.ts';
import type { Verdict } from '../../model/verification.ts';
import type { VerificationRecord } from '../verifications.ts';

/** A snapshot is called after the backup that it is a copy of: there is one of each at most. */
export const snapshotIdOf = (backup: string): string => `snapshot-${backup}`;

/** `2026-11`, UTC. */
const monthOf = (time: string): string => new Date(time).toISOString().slice(0, 7);

/**
 * The backups of the month that ended well in a verification, the first one first, unless the month has its snapshot. One
 * that failed a verification of its own is none, and another backup is copied.
 */
export function snapshotSources(
  known: {
    database: string;
    of: SnapshotTier['of'];
    manifests: readonly Manifest[];
    verifications: readonly Pick<VerificationRecord, 'backup' | 'verdict'>[];
  },
  at: string,
): Manifest[] | NoSnapshot {
  const { database, of, manifests, verifications } = known;
  const month = monthOf(at);
  const ofMonth = (tier: BackupTier) =>
    manifests
      .filter((manifest) => manifest.tier === tier && monthOf(manifest.finishedAt) === month)
      .toSorted((a, b) => Date.parse(a.finishedAt) - Date.parse(b.finishedAt));
  const said = (wanted: Verdict) =>
    new Set(verifications.flatMap(({ backup, verdict }) => (verdict === wanted ? backup : [])));
  const [passed, failed] = [said('pass'), said('fail')];
  const existing = ofMonth('snapshot').find(({ id }) => !failed.has(id));
  if (existing !== undefined) {
    const skipped = `${database} has its snapshot of ${month} already: ${existing.id}`;
    return { id: existing.id, skipped };
  }
  const ids = new Set(manifests.map(({ id }) => id));
  const candidates = ofMonth(of).filter(({ dependsOn }) => dependsOn.every((id) => ids.has(id)));
  const sources = candidates.filter(({ id }) => passed.has(id) && !ids.has(snapshotIdOf(id)));
  if (sources.length > 0) return sources;
  const skipped =
    candidates.length === 0
      ? `there is no ${of} backup of ${database} of ${month} yet`
      : `no ${of} backup of ${database} of ${month} has passed a verification yet`;
  return { id: null, skipped };
}
