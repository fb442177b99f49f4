import { describeDatabase } from '../config/describe.ts';
import type { Config } from '../config/schema.ts';
import type { BackupTier } from '../model/backup.ts';
import type { Looked } from '../watchdog/catalogs.ts';

/** One database at a glance. */
export interface DatabaseSummary {
  database: string;
  lastRecoverableAt: string | null;
  rpoSeconds: number;
  newest: Record<Exclude<BackupTier, 'snapshot'>, string | null>;
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
  return {
    database: name,
    rpoSeconds: describeDatabase(config, name).objectives.rpoMs / 1_000,
    lastRecoverableAt: catalog?.lastRecoverableAt ?? null,
    newest: { logical: newest('logical'), physical: newest('physical') },
    gaps: catalog?.gaps.length ?? 0,
    problem: unread,
  };
}
