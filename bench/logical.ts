import { setTimeout as sleep } from 'node:timers/promises';
import { startRun } from '../src/client/runbook.ts';
import { dumpPrograms } from '../src/engines/postgres/programs.ts';
import { dumpAndUpload } from './by-hand/dump-upload.ts';
import { LoadWatch, type Row, rowOfPairs, timed } from './measure.ts';
import { type BenchStack, PLAIN, settle } from './stack.ts';

const MAJOR = 15;

/** Logical backups without and with fingerprints, in turn with the same dump by hand. */
export async function benchLogical(
  stack: BenchStack,
  { pairs, signal, say }: { pairs: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Row[]> {
  const programs = await dumpPrograms(MAJOR);
  const load = new LoadWatch();
  const times = { theirs: [] as number[], plain: [] as number[], shop: [] as number[] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    await settle(stack, signal);
    times.theirs.push(await timed(() => dumpAndUpload(stack, programs, `by-hand/${pair}/shop.dump`, signal)));
    load.look();
    for (const database of [PLAIN, 'shop'] as const) {
      await settle(stack, signal);
      const what = `logical backup ${database === PLAIN ? 'without' : 'with'} fingerprints`;
      times[database].push(await timed(() => stack.memory.during(what, () => backUp(stack, database))));
      load.look();
    }
    const last = (list: number[]) => `${list.at(-1)?.toFixed(1)} s`;
    say(
      `logical ${pair}/${pairs}: by hand ${last(times.theirs)}, without fingerprints ${last(times.plain)}, with ${last(times.shop)}`,
    );
  }
  const against = '`pg_dump -Fc` piped to an S3 upload, same server';
  const row = (name: string, what: string, ours: number[], atMost: number) =>
    rowOfPairs({ name, what, against, atMost, load: load.highest }, 'ratio', ours, times.theirs);
  return [
    row('logical', 'logical backup with KMS and lock, without fingerprints', times.plain, 0.75),
    row('logical-fingerprints', 'logical backup with KMS and lock, with fingerprints', times.shop, 1.0),
  ];
}

/** One whole `logicalBackup` workflow. */
export async function backUp(stack: BenchStack, database: string): Promise<void> {
  // Ids are of the second.
  await sleep(0);
  const run = await startRun(stack.temporal, {
    type: 'logicalBackup',
    engine: 'postgres',
    input: { database },
  });
  await stack.temporal.workflow.getHandle(run.workflowId).result();
}
