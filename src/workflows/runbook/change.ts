import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { CHANGE_HOLDER_MEMO, changeWorkflowId } from '../../model/workflow-id.ts';
import { productionChange, releaseSignal } from '../production-change.ts';
import { control } from '../proxies.ts';
import { isDrill } from './drill.ts';
import { endWith } from './failure.ts';
import type { Runbook } from './runbook.ts';

/**
 * Takes the one right to change this production database. Fails at once, naming the holder. Gives what releases
 * it, once: the runbook's clean-up does at the latest.
 */
export async function holdChange(runbook: Runbook, database: string): Promise<() => Promise<void>> {
  if (isDrill()) return async () => {};
  try {
    // Outside the runbook's own scope: a cancelled runbook keeps others out until its import has ended.
    const child = await CancellationScope.nonCancellable(() =>
      startChild(productionChange, {
        workflowId: changeWorkflowId(database),
        parentClosePolicy: ParentClosePolicy.TERMINATE,
        memo: { [CHANGE_HOLDER_MEMO]: workflowInfo().workflowId },
        staticSummary: `held by ${workflowInfo().workflowId}`,
      }),
    );
    let released = false;
    const release = async () => {
      if (released) return;
      await child.signal(releaseSignal);
      released = true;
      await child.result();
    };
    runbook.cleanUpWith(release);
    return release;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const holder = await control.findChangeHolder({ database });
    throw endWith({
      type: 'DatabaseBusy',
      message: `another runbook may change ${database} right now: ${holder}`,
      hint: `wait for it, or decide it: holdfast status ${holder}`,
    });
  }
}
