import { startRun } from '../src/client/runbook.ts';
import { findDatabase } from '../src/config/describe.ts';
import { type RunbookStatus, secondsOf } from '../src/model/runbook.ts';
import { approveAtOnce } from './approve.ts';
import { LoadWatch, medianSteps, type Row, rowOfPairs, timed } from './measure.ts';
import type { BenchStack } from './stack.ts';

/** What differs by engine. */
export interface RecoveryCase {
  name: string;
  what: string;
  /** that lose rows */
  tables: readonly string[];
  /** a base, then traffic; gives the moment right before the accident */
  prepare(): Promise<string>;
  /** the accident, and a log behind it in the repository, so that the moment can be recovered */
  lose(): Promise<void>;
  /** gives the seconds of its steps */
  byHand(target: string): Promise<Record<string, number>>;
  /** a recovery that brings nothing back would be fast */
  requireRows(): Promise<void>;
}

/** Recoveries of deleted rows through the runbook, in turn with a script of the same steps. */
export async function benchRecovery(
  stack: BenchStack,
  one: RecoveryCase,
  options: { pairs: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Row> {
  const { pairs, signal, say } = options;
  const load = new LoadWatch();
  say(`${one.name}: a base, then traffic, then the accident`);
  const target = await one.prepare();
  const times = { ours: [] as number[], theirs: [] as number[] };
  const steps = { ours: [] as Record<string, number>[], theirs: [] as Record<string, number>[] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    await one.lose();
    times.theirs.push(await timed(async () => steps.theirs.push(await one.byHand(target))));
    await one.requireRows();
    load.look();
    await one.lose();
    times.ours.push(
      await timed(async () => {
        const work = () => recover(stack, one.tables, target, signal);
        steps.ours.push(stepsOf(await stack.memory.during('point-in-time recovery', work)));
      }),
    );
    await one.requireRows();
    load.look();
    say(
      `${one.name} ${pair}/${pairs}: by hand ${times.theirs.at(-1)?.toFixed(1)} s, runbook ${times.ours.at(-1)?.toFixed(1)} s`,
    );
  }
  return rowOfPairs(
    {
      name: one.name,
      what: one.what,
      against: 'a shell script of the same steps',
      atMost: 1.1,
      load: load.highest,
      steps: { runbook: medianSteps(steps.ours), script: medianSteps(steps.theirs) },
    },
    'ratio',
    times.ours,
    times.theirs,
  );
}

/** The whole runbook, approved as soon as its plan is there. */
async function recover(
  { temporal, config }: BenchStack,
  tables: readonly string[],
  target: string,
  signal: AbortSignal,
): Promise<RunbookStatus> {
  const { engine } = findDatabase(config.config, 'shop');
  const { workflowId } = await startRun(temporal, {
    type: 'pointInTimeRecovery',
    engine,
    input: {
      ...{ database: 'shop', reason: 'benchmark', requestedBy: 'bench', target: { time: target } },
      tables: [...tables],
    },
  });
  return approveAtOnce(temporal, workflowId, signal);
}

function stepsOf({ steps }: RunbookStatus): Record<string, number> {
  return Object.fromEntries(
    steps.flatMap((step) => {
      const seconds = secondsOf(step);
      return seconds === null ? [] : [[step.name, seconds]];
    }),
  );
}
