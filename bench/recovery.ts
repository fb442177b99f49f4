import { startRun } from '../src/client/runbook.ts';
import type { RunbookStatus } from '../src/model/runbook.ts';
import { approveAtOnce } from './approve.ts';
import { recoverByHand } from './by-hand/recover.ts';
import { ACCIDENT, deleteRows, markRecoverable, momentNow, trade } from './data.ts';
import { LoadWatch, medianSteps, type Row, rowOfPairs, timed } from './measure.ts';
import { type BenchStack, settle } from './stack.ts';

/** Recoveries of deleted rows through the runbook, in turn with a script of the same steps. */
export async function benchRecovery(
  stack: BenchStack,
  options: { pairs: number; scale: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Row> {
  const { pairs, signal, say } = options;
  const load = new LoadWatch();
  say('recovery: a full physical backup, then traffic, then the accident');
  await takeBase(stack);
  await trade(stack, options.scale, signal);
  const target = await momentNow(stack);
  const times = { ours: [] as number[], theirs: [] as number[] };
  const steps = { ours: [] as Record<string, number>[], theirs: [] as Record<string, number>[] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    await again();
    times.theirs.push(await timed(async () => steps.theirs.push(await recoverByHand(stack, target, signal))));
    await requireRows(stack);
    load.look();
    await again();
    times.ours.push(
      await timed(async () => {
        const run = await stack.memory.during('point-in-time recovery', () => recover(stack, target, signal));
        steps.ours.push(stepsOf(run));
      }),
    );
    await requireRows(stack);
    load.look();
    say(
      `recovery ${pair}/${pairs}: by hand ${times.theirs.at(-1)?.toFixed(1)} s, runbook ${times.ours.at(-1)?.toFixed(1)} s`,
    );
  }
  return rowOfPairs(
    {
      name: 'recovery',
      what: 'point-in-time recovery of it, without the wait for approval',
      against: 'a shell script of the same steps',
      atMost: 1.1,
      load: load.highest,
      steps: { runbook: medianSteps(steps.ours), script: medianSteps(steps.theirs) },
    },
    'ratio',
    times.ours,
    times.theirs,
  );

  async function again(): Promise<void> {
    await deleteRows(stack);
    await markRecoverable(stack, signal);
    await settle(stack, signal);
  }
}

export async function takeBase({ temporal }: BenchStack): Promise<void> {
  const input = { database: 'shop', kind: 'full' } as const;
  const run = await startRun(temporal, { type: 'physicalBackup', engine: 'postgres', input });
  await temporal.workflow.getHandle(run.workflowId).result();
}

/** The whole runbook, approved as soon as its plan is there. */
async function recover(stack: BenchStack, target: string, signal: AbortSignal): Promise<RunbookStatus> {
  const { temporal } = stack;
  const { workflowId } = await startRun(temporal, {
    type: 'pointInTimeRecovery',
    engine: 'postgres',
    input: {
      ...{ database: 'shop', reason: 'benchmark', requestedBy: 'bench', target: { time: target } },
      tables: ACCIDENT.map(({ table }) => table),
    },
  });
  return approveAtOnce(temporal, workflowId, signal);
}

function stepsOf({ steps }: RunbookStatus): Record<string, number> {
  return Object.fromEntries(
    steps.flatMap(({ name, startedAt, finishedAt }) =>
      startedAt === null || finishedAt === null
        ? []
        : [[name, (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000]],
    ),
  );
}

/** A recovery that brings nothing back would be fast. */
async function requireRows({ production }: BenchStack): Promise<void> {
  for (const { table, key, every } of ACCIDENT) {
    const { rows } = await production.query<{ whole: boolean }>(
      `SELECT count(*) = max(${key}) / ${every} AS whole FROM ${table} WHERE ${key} % ${every} = 0`,
    );
    if (!rows[0]?.whole) throw new Error(`the deleted rows of ${table} are not all back`);
  }
}
