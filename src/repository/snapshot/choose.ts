import type { BackupTier, Manifest } from '../../model/backup.ts';
import type { SnapshotTier } from '../../model/tier.ts';
import type { VerificationRecord } from '../verifications.ts';

/** What a month's snapshot is copied from, or why none is made now. */
export type SnapshotChoice =
  | { backup: string; id: string }
  /** `id`: of the snapshot that the month has; null: it has none */
  | { backup: null; id: string | null; skipped: string };

/** A snapshot is called after the backup that it is a copy of: there is one of each at most. */
export const snapshotIdOf = (backup: string): string => `snapshot-${backup}`;

/** `2026-11`, UTC. */
export const monthOf = (time: string): string => new Date(time).toISOString().slice(0, 7);

/** The first backup of the month that ended well in a verification, unless the month has its snapshot. */
export function chooseSnapshot(
  known: {
    database: string;
    of: SnapshotTier['of'];
    manifests: readonly Manifest[];
    verifications: readonly Pick<VerificationRecord, 'backup' | 'verdict'>[];
  },
  at: string,
): SnapshotChoice {
  const { database, of, manifests, verifications } = known;
  const month = monthOf(at);
  const ofMonth = (tier: BackupTier) =>
    manifests
      .filter((manifest) => manifest.tier === tier && monthOf(manifest.finishedAt) === month)
      .toSorted((a, b) => Date.parse(a.finishedAt) - Date.parse(b.finishedAt));
  const [existing] = ofMonth('snapshot');
  if (existing !== undefined) {
    const skipped = `${database} has its snapshot of ${month} already: ${existing.id}`;
    return { backup: null, id: existing.id, skipped };
  }
  const ids = new Set(manifests.map(({ id }) => id));
  const passed = new Set(verifications.flatMap(({ backup, verdict }) => (verdict === 'pass' ? backup : [])));
  const candidates = ofMonth(of).filter(({ dependsOn }) => dependsOn.every((id) => ids.has(id)));
  const first = candidates.find(({ id }) => passed.has(id));
  if (first !== undefined) return { backup: first.id, id: snapshotIdOf(first.id) };
  const skipped =
    candidates.length === 0
      ? `there is no ${of} backup of ${database} of ${month} yet`
      : `no ${of} backup of ${database} of ${month} has passed a verification yet`;
  return { backup: null, id: null, skipped };
}
