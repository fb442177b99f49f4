import { chmod, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { CONTROL_QUEUE } from '../../model/queue.ts';
import { layoutOf } from './configuration.ts';
import { startDetached, waitUntilReady } from './detached.ts';
import { kill } from './process.ts';
import type { WorkerName } from './state.ts';

const HOLDFAST = fileURLToPath(new URL('../../../bin/holdfast', import.meta.url));

/**
 * Starts a worker as a process of its own and waits until it polls its queues. Throws `ToolFailed`
 * with the end of its log.
 */
export async function startWorker(options: {
  directory: string;
  config: string;
  /** whose log and temporary folder it gets; default: the first */
  name?: WorkerName;
  temporal: { address: string; namespace: string };
  /** default: all */
  roles?: string;
  /** the queues that it has to serve */
  queues: readonly string[];
  signal?: AbortSignal | undefined;
}): Promise<number> {
  const { log, temporary } = layoutOf(options.directory).workers[options.name ?? 'worker'];
  await mkdir(temporary, { recursive: true });
  await chmod(temporary, 0o1777);
  const pid = await startDetached({
    file: HOLDFAST,
    args: [
      ...['worker', '--config', options.config],
      ...(options.roles === undefined ? [] : ['--roles', options.roles]),
    ],
    directory: options.directory,
    // What its tools leave in a temporary folder goes with the state.
    env: { ...withoutTemporal(process.env), TMPDIR: temporary },
    log,
  });
  await waitUntilReady('the worker', { pid, log }, () => polls(options.temporal, options.queues, pid), {
    limitMs: 120_000,
    signal: options.signal,
  }).catch((error) => {
    kill(pid, 'SIGTERM');
    throw error;
  });
  return pid;
}

/** TEMPORAL_* variables override the configuration, and would take the worker to another server. */
export function withoutTemporal(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

/** Temporal remembers the pollers of the last minutes, so that only this very process counts. */
async function polls(
  server: { address: string; namespace: string },
  queues: readonly string[],
  pid: number,
): Promise<boolean> {
  const connection = await Connection.connect({ address: server.address, connectTimeout: '2s' });
  try {
    for (const name of queues) {
      const { pollers } = await connection.workflowService.describeTaskQueue({
        namespace: server.namespace,
        taskQueue: { name },
        taskQueueType:
          name === CONTROL_QUEUE
            ? proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
            : proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
      });
      if (!pollers?.some((poller) => poller.identity?.startsWith(`${pid}@`))) return false;
    }
    return true;
  } finally {
    await connection.close();
  }
}
