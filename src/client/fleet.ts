import { describeDatabase } from '../config/describe.ts';
import type { Config } from '../config/schema.ts';
import type { BackupTier, CatalogBackup } from '../model/backup.ts';
import { worstOf } from '../model/verification.ts';
import type { Looked } from '../watchdog/catalogs.ts';

/** One database at a glance. */
export interface DatabaseSummary {
  database: string;
  lastRecoverableAt: string | null;
  rpoSeconds: number;
  newest: Record<Exclude<BackupTier, 'snapshot'>, string | null>;
  /** tiers that it has: of the others nothing is expected */
  tiers: Exclude<BackupTier, 'snapshot'>[];
  /** of the newest backups that were verified */
  verified: CatalogBackup['verified'];
  /** that nobody has acknowledged */
  gaps: number;
  /** why its catalog could not be read */
  problem: string | null;
}

/** Every database of the configuration, in its order; one that cannot be read says why. */
export function summarize(config: Config, catalogs: ReadonlyMap<string, Looked>): DatabaseSummary[] {
  return [...catalogs].map(([name, looked]) => summaryOf(config, name, looked));
}

function summaryOf(config: Config, name: string, { catalog, unread }: Looked): DatabaseSummary {
  const newest = (tier: BackupTier) =>
    (catalog?.backups ?? [])
      .filter((backup) => backup.tier === tier)
      .map((backup) => backup.finishedAt)
      .sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? null;
  const { objectives, tiers } = describeDatabase(config, name);
  return {
    database: name,
    rpoSeconds: objectives.rpoMs / 1_000,
    lastRecoverableAt: catalog?.lastRecoverableAt ?? null,
    newest: { logical: newest('logical'), physical: newest('physical') },
    tiers: (['logical', 'physical'] as const).filter((tier) => tiers[tier] !== null),
    verified: lastVerified(catalog?.backups ?? []),
    gaps: (catalog?.gaps ?? []).filter(({ acknowledged }) => acknowledged === undefined).length,
    problem: unread,
  };
}

/** Of both tiers the worse verdict and the older time: one pass must not hide what failed beside it. */
function lastVerified(backups: readonly CatalogBackup[]): CatalogBackup['verified'] {
  const byTier = (['logical', 'physical'] as const).flatMap((tier) => {
    const newestFirst = backups
      .filter((backup) => backup.tier === tier && backup.verified !== null)
      .toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
    return newestFirst[0]?.verified ?? [];
  });
  const oldest = byTier.map(({ at }) => at).toSorted((a, b) => Date.parse(a) - Date.parse(b))[0];
  return oldest === undefined ? null : { verdict: worstOf(byTier.map(({ verdict }) => verdict)), at: oldest };
}
