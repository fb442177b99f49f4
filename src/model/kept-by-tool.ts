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
  const fulls = made
    .filter(({ kind }) => kind === 'full')
    .map(({ id, finishedAt }) => {
      const ends = made
        .filter((one) => one.id === id || one.dependsOn.includes(id))
        .map((one) => Date.parse(one.finishedAt));
      return { finishedAt: Date.parse(finishedAt), promisedUntil: Math.max(...ends) + physicalMs };
    });
  return keptFulls(tier ?? LEAST, { fulls, logMs, next, now });
}

/** The same in milliseconds; `promisedUntil` is that of the full and of all that depends on it. */
export function keptFulls(
  { retentionFull, retentionArchive }: Pick<PhysicalTier, 'retentionFull' | 'retentionArchive'>,
  given: {
    fulls: readonly { finishedAt: number; promisedUntil: number }[];
    logMs: number;
    next: BackupKind;
    now: number;
  },
): { retentionFull: number; retentionArchive: number } {
  const { logMs, next, now } = given;
  const fulls = given.fulls.toSorted((a, b) => b.finishedAt - a.finishedAt);
  const more = next === 'full' ? 1 : 0;
  const promised = fulls.findLastIndex(({ promisedUntil }) => promisedUntil > now) + 1;
  const beforeWindow = fulls.findIndex(({ finishedAt }) => finishedAt <= now - logMs);
  const forWindow = beforeWindow === -1 ? fulls.length : beforeWindow + 1;
  return {
    retentionFull: Math.max(retentionFull, promised + more, forWindow + more),
    retentionArchive: Math.max(retentionArchive, forWindow + more),
  };
}
