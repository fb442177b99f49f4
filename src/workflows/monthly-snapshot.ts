import { workflowInfo } from '@temporalio/workflow';
import type { BackupSummary } from '../activities/publish.ts';
import { parseInput } from '../model/input.ts';
import type { NoSnapshot } from '../model/snapshot.ts';
import { control, inRepository } from './proxies.ts';
import { orEnd } from './runbook/failure.ts';
import { openJob } from './runbook/job.ts';

/**
 * Copies the month's first verified backup, once. A copy that failed leaves what it has copied, under its lock, and no
 * manifest: the next day's run goes on from there.
 */
export async function monthlySnapshot(given: unknown): Promise<BackupSummary | NoSnapshot> {
  const { database } = orEnd(() => parseInput('monthlySnapshot', given));
  const job = openJob('monthlySnapshot', database);
  return job.run(async () => {
    const settings = await control.describeProtection({ database });
    job.begin(settings.engine, settings.tells);
    const { workflowId, runId, startTime } = workflowInfo();
    const at = startTime.toISOString();
    const choice = await control.chooseSnapshot({ database, at });
    if ('skipped' in choice) return choice;
    return inRepository(settings).takeSnapshot({
      ...{ database, at, backup: choice.backup },
      madeBy: { workflowId, runId },
    });
  });
}
