import { startRun } from '../src/client/runbook.ts';
import type { RunbookStatus } from '../src/model/runbook.ts';
import { secondsOf } from '../src/model/runbook.ts';
import { readManifest } from '../src/repository/manifests.ts';
import { openRepository } from '../src/repository/repository.ts';
import { approveAtOnce } from './approve.ts';
import { backUp } from './backup.ts';
import { restoreAllByHand } from './by-hand/restore-all.ts';
import { LoadWatch, medianSteps, type Row, rowOfPairs, timed } from './measure.ts';
import { type PostgresStack, settle } from './postgres-stack.ts';

/** Its rows are the last of the schema in the dump: everything before them has to be passed. */
const TABLE = 'public.selected';
const ROWS = 55_000;

/**
 * Selective restores of a table of about 10 MB, in turn with a restore of everything by hand. Compared are the steps
 * in which the copy is made, from an empty folder to a server with the rows in it; the rest has no counterpart.
 */
export async function benchSelective(
  stack: PostgresStack,
  options: { pairs: number; signal: AbortSignal; say: (line: string) => void },
): Promise<Row> {
  const { pairs, signal, say } = options;
  const { production } = stack;
  await production.query(`CREATE TABLE ${TABLE} (LIKE readings INCLUDING ALL)`);
  await production.query(`INSERT INTO ${TABLE} SELECT * FROM readings WHERE id <= ${ROWS}`);
  const { rows } = await production.query<{ bytes: string }>(
    `SELECT pg_total_relation_size('${TABLE}') AS bytes`,
  );
  await backUp(stack, 'shop');
  const { config, directory } = stack.config;
  const repository = await openRepository(config.repository, { use: 'restore', baseDirectory: directory });
  try {
    const load = new LoadWatch();
    const times = { ours: [] as number[], theirs: [] as number[] };
    const steps: Record<string, number>[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      await production.query(`DELETE FROM ${TABLE} WHERE id % 5 = 0`);
      await settle(stack, signal);
      const status = await restore(stack, signal);
      const manifest = await readManifest(repository, 'shop', status.plan?.backup ?? '');
      if (manifest === null) throw new Error('the backup of the plan is not there');
      steps.push(stepsOf(status));
      times.ours.push((steps.at(-1)?.provision ?? 0) + (steps.at(-1)?.restore ?? Number.NaN));
      await requireRows(stack);
      load.look();
      await settle(stack, signal);
      const what = { repository, manifest, database: production.database as string };
      times.theirs.push(await timed(() => restoreAllByHand(stack.directory, what, signal)));
      load.look();
      say(
        `selective ${pair}/${pairs}: one table ${times.ours.at(-1)?.toFixed(1)} s, everything ${times.theirs.at(-1)?.toFixed(1)} s`,
      );
    }
    return rowOfPairs(
      {
        name: 'selective',
        what: `restore of a table of ${(Number(rows[0]?.bytes) / 1e6).toFixed(0)} MB out of the dump`,
        against: '`pg_restore` of all of it, same server settings',
        ...{ atMost: 0.25, load: load.highest, steps: { runbook: medianSteps(steps) } },
      },
      'ratio',
      times.ours,
      times.theirs,
    );
  } finally {
    repository.close();
  }
}

async function restore({ temporal, memory }: PostgresStack, signal: AbortSignal): Promise<RunbookStatus> {
  const { workflowId } = await startRun(temporal, {
    type: 'selectiveTableRestore',
    engine: 'postgres',
    input: { database: 'shop', reason: 'benchmark', requestedBy: 'bench', tables: [TABLE] },
  });
  return memory.during('selective restore', () => approveAtOnce(temporal, workflowId, signal));
}

const stepsOf = ({ steps }: RunbookStatus): Record<string, number> =>
  Object.fromEntries(steps.map((step) => [step.name, secondsOf(step) ?? 0]));

/** A restore that brings nothing back would be fast. */
async function requireRows({ production }: PostgresStack): Promise<void> {
  const { rows } = await production.query<{ n: string }>(`SELECT count(*) AS n FROM ${TABLE}`);
  if (Number(rows[0]?.n) !== ROWS) throw new Error(`${TABLE} has ${rows[0]?.n} rows after its restore`);
}
