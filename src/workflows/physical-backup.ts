import { workflowInfo } from '@temporalio/workflow';
import type { BackupSummary } from '../activities/publish.ts';
import { parseInput } from '../model/input.ts';
import { control, onHost } from './proxies.ts';
import { orEnd } from './runbook/failure.ts';
import { openJob } from './runbook/job.ts';

/** Takes a full or differential physical backup on the database's host. */
export async function physicalBackup(given: unknown): Promise<BackupSummary> {
  const { database, kind } = orEnd(() => parseInput('physicalBackup', given));
  const job = openJob('physicalBackup', database);
  return job.run(async () => {
    const settings = await control.describeProtection({ database });
    job.begin(settings.engine, settings.tells);
    const { workflowId, runId } = workflowInfo();
    return onHost(settings.host, settings).takePhysicalBackup({
      database,
      kind,
      madeBy: { workflowId, runId },
    });
  });
}
