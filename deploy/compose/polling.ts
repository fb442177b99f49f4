// Exits 0 when this container's worker polls the task queue: `node polling.ts holdfast`.
import { hostname } from 'node:os';
import { Connection } from '@temporalio/client';
import temporal from '@temporalio/proto';

const { TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY } = temporal.temporal.api.enums.v1.TaskQueueType;
const name = process.argv[2] ?? 'holdfast';
/** Temporal lists the pollers of the last five minutes; a live one comes back at least every minute. */
const FRESH_MS = 90_000;

const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? 'temporal:7233' });
const { pollers } = await connection.workflowService.describeTaskQueue({
  namespace: process.env.TEMPORAL_NAMESPACE ?? 'default',
  taskQueue: { name },
  taskQueueType: name === 'holdfast' ? TASK_QUEUE_TYPE_WORKFLOW : TASK_QUEUE_TYPE_ACTIVITY,
});
await connection.close();
const ours = (pollers ?? []).some(
  ({ identity, lastAccessTime }) =>
    identity?.endsWith(`@${hostname()}`) &&
    Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1_000 < FRESH_MS,
);
if (!ours) process.stderr.write(`this worker does not poll the task queue ${name}\n`);
process.exitCode = ours ? 0 : 1;
