import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, log, ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { Alert } from '../model/alert.ts';
import { alertWorkflowId } from '../model/workflow-id.ts';
import { deliverAlert } from './deliver-alert.ts';

/**
 * Has an alert delivered by a run of its own, which outlives the one that raises it; one of a key that was raised
 * before is not sent again. That nobody can be told is no reason to fail.
 */
export async function raise(alert: Alert): Promise<void> {
  try {
    // A cancellation of this run must not reach the delivery.
    await CancellationScope.nonCancellable(() =>
      startChild(deliverAlert, {
        workflowId: alertWorkflowId(alert.key),
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        parentClosePolicy: ParentClosePolicy.ABANDON,
        args: [alert],
        staticSummary: alert.title.slice(0, 200),
      }),
    );
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return;
    log.error('an alert could not be raised', { key: alert.key, reason: String(error) });
  }
}
