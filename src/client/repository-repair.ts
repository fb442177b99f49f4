import { describeDatabase } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Run } from '../model/progress.ts';
import { applyRepair, type Repaired } from '../repository/repair/apply.ts';
import { planRepair, type RepairPlan } from '../repository/repair/plan.ts';
import type { Repository } from '../repository/repository.ts';

/** The answer of `repository repair --output json`. */
export interface RepairAnswer extends RepairPlan {
  bucket: string;
  databases: string[];
  /** null: nothing was to be done, or nobody wanted it */
  repaired: Repaired | null;
}

/** What would be repaired for one database, or for all. Throws UnknownDatabase. */
export async function planRepairOf(
  repository: Repository,
  config: LoadedConfig,
  name: string | undefined,
  run: Run,
): Promise<RepairAnswer> {
  const databases =
    name === undefined ? Object.keys(config.config.databases) : [describeDatabase(config.config, name).name];
  const plan = await planRepair(repository, config, databases, { now: new Date(), run });
  return { bucket: repository.connection.where, databases, ...plan, repaired: null };
}

export async function repair(repository: Repository, plan: RepairAnswer, run: Run): Promise<RepairAnswer> {
  return { ...plan, repaired: await applyRepair(repository, plan.mends, { now: new Date(), run }) };
}
