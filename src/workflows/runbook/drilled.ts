import { CancellationScope, condition, startChild, workflowInfo } from '@temporalio/workflow';
import { DRILL_MEMO, type DrillChoice, describeDrill } from '../../model/drill.ts';
import type { RunbookStatus } from '../../model/runbook.ts';
import { control } from '../proxies.ts';

/** What came of the recovery of a drill: its last word, or the real recovery that it gave way to. */
export type Drilling = { status: RunbookStatus } | { gaveWayTo: string };

/** Runs the real runbook as a child, and ends it as soon as a real recovery of this database runs. */
export async function drill(
  choice: DrillChoice,
  { database, site, lookEveryMs }: { database: string; site: string; lookEveryMs: number },
): Promise<Drilling> {
  const { workflowId } = workflowInfo();
  const { runbook, target, tables } = choice;
  const input = {
    ...{ database, site, reason: `drill ${workflowId}`, requestedBy: 'drill' },
    ...(target === null ? {} : { target }),
    ...(tables === null ? (runbook === 'fullDisasterRecovery' ? {} : { keepInstance: '0s' }) : { tables }),
  };
  const scope = new CancellationScope();
  const recovery = scope.run(async () => {
    const child = await startChild(runbook, {
      workflowId: `${workflowId}/recovery`,
      args: [input],
      memo: { [DRILL_MEMO]: workflowId },
      staticSummary: `drill: ${describeDrill(choice)}`.slice(0, 200),
    });
    return (await child.result()) as RunbookStatus;
  });
  let ended = false;
  const settled = recovery.then(
    () => {
      ended = true;
    },
    () => {
      ended = true;
    },
  );
  try {
    while (!(await condition(() => ended, lookEveryMs))) {
      const gaveWayTo = await control.findRecovery({ database, drill: workflowId });
      if (gaveWayTo === null || ended) continue;
      scope.cancel();
      return { gaveWayTo };
    }
    return { status: await recovery };
  } finally {
    // A recovery that is cancelled has an instance to remove, and ends with this run at the latest.
    await CancellationScope.nonCancellable(() => settled);
  }
}
