import type { BackupKind } from './backup.ts';
import type { PhysicalTier, Retention } from './tier.ts';

/** A backup as far as it counts here; times are ISO 8601. */
interface Made {
  id: string;
  kind: BackupKind;
  finishedAt: string;
  dependsOn: readonly string[];
}

/** Of backups by hand where the tier is off. */
const LEAST = { retentionFull: 2, retentionArchive: 2 };

/**
 * How many fulls, and of how many the logs, the tool has to keep when it has made its next backup. It counts fulls and
 * knows no promise: of those that were made beyond the schedule, by hand or after a gap, three in an hour would end
 * the window, and every old backup a little early. So what is still promised is counted first, before each backup.
 */
export function keptByTool(
  tier: Pick<PhysicalTier, 'retentionFull' | 'retentionArchive'> | null,
  { physicalMs, logMs }: Pick<Retention, 'physicalMs' | 'logMs'>,
  { made, next, now }: { made: readonly Made[]; next: BackupKind; now: number },
): { retentionFull: number; retentionArchive: number } {
  const { retentionFull, retentionArchive } = tier ?? LEAST;
  const fulls = made
    .filter(({ kind }) => kind === 'full')
    .toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
  const more = next === 'full' ? 1 : 0;
  const isPromised = ({ id }: Made) =>
    made.some(
      (one) => (one.id === id || one.dependsOn.includes(id)) && Date.parse(one.finishedAt) + physicalMs > now,
    );
  const beforeWindow = fulls.findIndex(({ finishedAt }) => Date.parse(finishedAt) <= now - logMs);
  const forWindow = beforeWindow === -1 ? fulls.length : beforeWindow + 1;
  const full = Math.max(retentionFull, fulls.findLastIndex(isPromised) + 1 + more, forWindow + more);
  return { retentionFull: full, retentionArchive: Math.max(retentionArchive, forWindow + more) };
}
