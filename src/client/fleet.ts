import { describeDatabase } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { BackupTier } from '../model/backup.ts';
import { readCatalogOf } from './recoverable.ts';

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

/** Catalogs read at once: enough to be quick, few enough for one S3. */
const AT_ONCE = 8;

/** Every database of the configuration, in its order; one that cannot be read says why. */
export async function readFleet(config: LoadedConfig): Promise<DatabaseSummary[]> {
  const names = Object.keys(config.config.databases);
  const summaries: DatabaseSummary[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE).map((name) => summaryOf(config, name));
    summaries.push(...(await Promise.all(some)));
  }
  return summaries;
}

async function summaryOf(config: LoadedConfig, name: string): Promise<DatabaseSummary> {
  const database = describeDatabase(config.config, name);
  const base = { database: name, rpoSeconds: database.objectives.rpoMs / 1_000 };
  try {
    const { backups, gaps, lastRecoverableAt } = await readCatalogOf(config, database);
    const newest = (tier: BackupTier) =>
      backups
        .filter((backup) => backup.tier === tier)
        .map((backup) => backup.finishedAt)
        .sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? null;
    return {
      ...base,
      lastRecoverableAt,
      newest: { logical: newest('logical'), physical: newest('physical') },
      gaps: gaps.length,
      problem: null,
    };
  } catch (error) {
    return {
      ...base,
      lastRecoverableAt: null,
      newest: { logical: null, physical: null },
      gaps: 0,
      problem: error instanceof Error ? error.message : String(error),
    };
  }
}
