import type { Client } from '@temporalio/client';
import type { WorkflowType } from '../model/input.ts';

/**
 * What the last run of this type has returned; null: there was none. Read from the run itself: a schedule does not hand
 * its last result on to a triggered run (seen with server 1.29).
 */
export async function lastResult<T>(client: Client, type: WorkflowType): Promise<T | null> {
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Completed'`;
  for await (const { workflowId, runId } of client.workflow.list({ query, pageSize: 1 })) {
    return (await client.workflow.getHandle(workflowId, runId).result()) as T;
  }
  return null;
}
