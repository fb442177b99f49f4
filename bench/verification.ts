import { startRun } from '../src/client/runbook.ts';
import { type RunbookStatus, secondsOf } from '../src/model/runbook.ts';
import type { Verification } from '../src/model/verification.ts';
import { listManifests } from '../src/repository/manifests.ts';
import { openRepository } from '../src/repository/repository.ts';
import { backUp } from './backup.ts';
import { restoreAllByHand } from './by-hand/restore-all.ts';
import { LoadWatch, medianSteps, type Row, rowOfPairs, timed } from './measure.ts';
import { type PostgresStack, settle } from './postgres-stack.ts';

const PART = 'logical: ';

/**
 * Verifications of the newest logical backup, in turn with a restore of it by hand and `count(*)` of every table.
 * Ours is its whole chapter of the run, from its manifest to the removal of its instance.
 */
export async function benchVerification(
  stack: PostgresStack,
  options: { pairs: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Row> {
  const { pairs, signal, say } = options;
  await backUp(stack, 'shop');
  const { config, directory } = stack.config;
  const repository = await openRepository(config.repository, { use: 'restore', baseDirectory: directory });
  try {
    const manifest = (await listManifests(repository, 'shop')).find(({ tier }) => tier === 'logical');
    if (manifest === undefined) throw new Error('the backup is not there');
    const load = new LoadWatch();
    const times = { ours: [] as number[], theirs: [] as number[] };
    const steps: Record<string, number>[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      await settle(stack, signal);
      const what = { repository, manifest, database: stack.production.database as string, count: true };
      times.theirs.push(await timed(() => restoreAllByHand(stack.directory, what, signal)));
      load.look();
      await settle(stack, signal);
      const own = await stack.memory.during('verification', () => verify(stack, manifest.id));
      steps.push(own);
      times.ours.push(Object.values(own).reduce((sum, seconds) => sum + seconds, 0));
      load.look();
      say(
        `verification ${pair}/${pairs}: by hand ${times.theirs.at(-1)?.toFixed(1)} s, verified ${times.ours.at(-1)?.toFixed(1)} s`,
      );
    }
    return rowOfPairs(
      {
        name: 'verification',
        what: 'verification of a logical backup: every object, row and definition',
        against: '`pg_restore` of all of it and `count(*)` of every table, same server settings',
        ...{ atMost: 1.5, load: load.highest, steps: { runbook: medianSteps(steps) } },
      },
      'ratio',
      times.ours,
      times.theirs,
    );
  } finally {
    repository.close();
  }
}

/** One verification; gives the seconds of the steps of the logical part. */
async function verify({ temporal }: PostgresStack, backup: string): Promise<Record<string, number>> {
  const input = { database: 'shop', reason: 'benchmark', requestedBy: 'bench' };
  const { workflowId } = await startRun(temporal, { type: 'dailyVerify', engine: 'postgres', input });
  const handle = temporal.workflow.getHandle(workflowId);
  const found = (await handle.result()) as Verification;
  // A verification that finds nothing would be fast.
  const logical = found.checks.filter(({ name }) => name.startsWith(PART));
  const bad = logical.filter(({ verdict }) => verdict !== 'pass');
  if (!found.backup.includes(backup) || logical.length < 5 || bad.length > 0) {
    throw new Error(`the verification found ${found.reasons.join('; ')}`);
  }
  const { steps } = await handle.query<RunbookStatus>('status');
  const own = steps.filter(({ name }) => name.startsWith(PART));
  return Object.fromEntries(own.map((step) => [step.name.slice(PART.length), secondsOf(step) ?? 0]));
}
