import { ApplicationFailure, sleep } from '@temporalio/workflow';
import type { Base, RecoverySettings } from '../../activities/recovery-types.ts';
import { thawDetail } from '../../model/archive.ts';
import { formatDuration } from '../../model/duration.ts';
import { countOf } from '../../model/plan.ts';
import { control } from '../proxies.ts';
import { isDrill } from './drill.ts';
import type { Runbook } from './runbook.ts';

/**
 * Where what the recovery needs lies in an archive class: asks for it, and waits, for hours where it takes hours, until
 * all of it can be read. Nothing is held meanwhile, so it comes before an instance is made.
 */
export async function thawIfArchived(
  runbook: Runbook,
  { database, base }: { database: string; base: Base },
  { thaw }: Pick<RecoverySettings, 'thaw'>,
): Promise<void> {
  const { archived } = base;
  if (archived === undefined) return;
  await runbook.step(
    'thaw',
    async (say) => {
      if (isDrill()) throw notInDrill(archived.storageClass);
      const startedAt = Date.now();
      for (;;) {
        const { left } = await control.requestThaw({ database, base });
        const elapsedMs = Date.now() - startedAt;
        const detail = thawDetail(archived, { left, elapsedMs });
        if (left === 0) return detail;
        if (elapsedMs >= thaw.timeLimitMs) throw tooLong(left, archived.storageClass, thaw.timeLimitMs);
        say(detail);
        await sleep(Math.min(thaw.lookEveryMs, thaw.timeLimitMs - elapsedMs), {
          summary: `${countOf(left, 'object')} are still archived`,
        });
      }
    },
    (detail) => detail,
  );
}

function notInDrill(storageClass: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'NotSupported',
    message: `the base or its logs are in ${storageClass}, and a drill thaws nothing: that costs money and hours`,
    details: ['keep physical backups out of archive classes for as long as drills reach back'],
    nonRetryable: true,
  });
}

/** Parks where there is an instance; started again, it goes on with what is back. */
function tooLong(left: number, storageClass: string, limitMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'RepositoryUnavailable',
    message: `${countOf(left, 'object')} are still in ${storageClass} after ${formatDuration(limitMs)}`,
    details: [
      'look at the service’s own state of the restore requests; what is back stays readable for repository.thaw.keep, so that another run goes on from there',
    ],
    nonRetryable: true,
  });
}
