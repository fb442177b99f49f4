import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { endProcess, identifyProcess } from '../src/client/dev/process.ts';
import { startTemporal } from '../src/client/dev/temporal.ts';
import { startRun } from '../src/client/runbook.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../src/model/queue.ts';
import { workflowBundle } from '../src/workers/bundle.ts';
import { fakeActivities, type RunbookActivities } from '../test/workflow/fakes.ts';
import { approveAtOnce } from './approve.ts';
import { LoadWatch, type Row, rowOfPairs, timed } from './measure.ts';

const INPUT = {
  ...{ database: 'shop', reason: 'benchmark', requestedBy: 'bench', tables: ['public.orders'] },
  target: { time: '2026-01-31T14:05:00Z' },
};

/** What the runbook itself costs: its activities return at once, beside the same functions in sequence. */
export async function benchOverhead(options: {
  pairs: number;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<Row> {
  const { pairs, signal, say } = options;
  const load = new LoadWatch();
  const times = { ours: [] as number[], theirs: [] as number[] };
  const { activities } = fakeActivities();
  await withTemporal(activities, signal, async (client) => {
    for (let pair = 1; pair <= pairs; pair += 1) {
      times.theirs.push(await timed(() => inSequence(activities)));
      times.ours.push(await timed(() => asRunbook(client, signal)));
      load.look();
      say(`overhead ${pair}/${pairs}: runbook ${times.ours.at(-1)?.toFixed(2)} s`);
      // Ids are of the second.
      await sleep(1_000, undefined, { signal });
    }
  });
  return rowOfPairs(
    {
      name: 'overhead',
      what: 'a runbook whose activities return at once',
      against: 'the same functions in sequence',
      atMost: 3,
      load: load.highest,
    },
    'seconds',
    times.ours,
    times.theirs,
  );
}

async function withTemporal(
  activities: RunbookActivities,
  signal: AbortSignal,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const server = await startTemporal({ directory, port: 0, uiPort: 0, signal });
  const identity = await identifyProcess(server.pid);
  try {
    const connection = await Connection.connect({ address: server.address });
    const native = await NativeConnection.connect({ address: server.address });
    const shared = { connection: native, activities };
    const workers = [
      await Worker.create({ ...shared, taskQueue: CONTROL_QUEUE, workflowBundle: await workflowBundle() }),
      await Worker.create({ ...shared, taskQueue: hostQueue('local') }),
      await Worker.create({ ...shared, taskQueue: siteQueue('local') }),
    ];
    const running = workers.map((worker) => worker.run());
    try {
      await work(new Client({ connection }));
    } finally {
      for (const worker of workers) worker.shutdown();
      await Promise.allSettled(running);
      await native.close();
      await connection.close();
    }
  } finally {
    if (identity !== null) await endProcess(identity, [{ signal: 'SIGTERM', patienceMs: 10_000 }]);
    await rm(directory, { recursive: true, force: true });
  }
}

async function asRunbook(client: Client, signal: AbortSignal): Promise<void> {
  const { workflowId } = await startRun(client, {
    ...{ type: 'pointInTimeRecovery', engine: 'postgres', input: INPUT },
  });
  await approveAtOnce(client, workflowId, signal);
}

/** The order of the runbook's own calls. */
const SEQUENCE = [
  ...['describeRecovery', 'chooseBase', 'provisionInstance', 'restoreInstance', 'replayInstance'],
  ...['checkInstance', 'compareTables', 'importTables', 'verifyImport', 'removeInstance', 'writeEvidence'],
];

async function inSequence(activities: RunbookActivities): Promise<void> {
  const byName = activities as unknown as Record<string, (input: object) => Promise<unknown>>;
  for (const name of SEQUENCE) await byName[name]?.({ tables: INPUT.tables, id: 'x', site: 'local' });
}
