import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { BackupSummary } from '../activities/publish.ts';
import { parseInput } from '../model/input.ts';
import { cleanUpRepository, control, onHost } from './proxies.ts';
import { orEnd } from './runbook/failure.ts';
import { openJob } from './runbook/job.ts';

/** Dumps every db of a database into the repository, with fingerprints of the dump's own snapshot. */
export async function logicalBackup(given: unknown): Promise<BackupSummary> {
  const { database } = orEnd(() => parseInput('logicalBackup', given));
  const job = openJob('logicalBackup', database);
  return job.run(async () => {
    const settings = await control.describeProtection({ database });
    job.begin(settings.engine, settings.tells);
    const { workflowId, runId, startTime } = workflowInfo();
    const backup = `${startTime.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    const input = { database, backup, madeBy: { workflowId, runId } };
    try {
      return await onHost(settings.host, settings).takeLogicalBackup(input);
    } catch (error) {
      await CancellationScope.nonCancellable(() => cleanUpRepository.abandonLogicalBackup(input));
      throw error;
    }
  });
}
