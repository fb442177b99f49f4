import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CompareInput, TableComparison } from '../src/engines/contract/change.ts';
import { postgres } from '../src/engines/postgres/postgres.ts';
import { runTool } from '../src/engines/process.ts';
import { ruleOf } from '../src/engines/rule-of.ts';
import { LoadWatch, type Row, rowOfPairs, timed } from './measure.ts';
import { FULL_SCALE } from './postgres-data.ts';
import { conninfo, type Scratch, settleScratch, withScratch } from './scratch.ts';

/** Rows of each side at the full scale. */
const ROWS = 5_000_000;
/** One row in so many is deleted, one changed, one new: together 1 % of the table. */
const ONE_IN = 300;
const SCRIPT = fileURLToPath(new URL('by-hand/compare.sh', import.meta.url));

interface Expected {
  deleted: number;
  changed: number;
  added: number;
}

/** The comparison that a plan rests on, in turn with ordered copies of both sides and diff. */
export async function benchCompare(options: {
  pairs: number;
  scale: number;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<Row> {
  const { pairs, signal, say } = options;
  const count = Math.round((ROWS * options.scale) / FULL_SCALE);
  const load = new LoadWatch();
  const times = { ours: [] as number[], theirs: [] as number[] };
  await withScratch(count, options, async (scratch) => {
    const expected = await change(scratch, count);
    for (let pair = 1; pair <= pairs; pair += 1) {
      await settleScratch(scratch, signal);
      times.theirs.push(await timed(() => compareByHand(scratch, expected, signal)));
      load.look();
      await settleScratch(scratch, signal);
      let found: TableComparison[] = [];
      const place = join(scratch.directory, 'instance');
      times.ours.push(
        await timed(async () => {
          found = await postgres.compare(compareInput(scratch), { signal, progress: () => {} });
        }),
      );
      await rm(place, { recursive: true, force: true });
      requireFound(found, expected);
      load.look();
      say(
        `compare ${pair}/${pairs}: by hand ${times.theirs.at(-1)?.toFixed(1)} s, compare ${times.ours.at(-1)?.toFixed(1)} s`,
      );
    }
  });
  return rowOfPairs(
    {
      name: 'compare',
      what: `comparison of two tables of ${count.toLocaleString('en-US')} rows, 1 % of which differ`,
      against: 'ordered `COPY` of both, and `diff`',
      ...{ atMost: 0.7, load: load.highest },
    },
    'ratio',
    times.ours,
    times.theirs,
  );
}

/** The table of both sides, as the engine's comparison and its import want it. */
export function compareInput({ directory, production, restored }: Scratch): CompareInput {
  return {
    production: production.access,
    restored: restored.access,
    tables: ['public.readings'],
    place: { directory: join(directory, 'instance'), user: null },
    ...{ serverMajor: 15, copyId: 'bench' },
  };
}

async function change({ production: { client } }: Scratch, count: number): Promise<Expected> {
  const { rowCount: deleted } = await client.query(`DELETE FROM readings WHERE id % ${ONE_IN} = 0`);
  const { rowCount: changed } = await client.query(
    `UPDATE readings SET value = -value, note = 'changed' WHERE id % ${ONE_IN} = 100`,
  );
  const { rowCount: added } = await client.query(
    `INSERT INTO readings (device, taken_at, amount)
     SELECT 'new', '2026-06-01 00:00+00', n FROM generate_series(1, $1::bigint) n`,
    [Math.round(count / ONE_IN)],
  );
  await client.query('VACUUM ANALYZE readings');
  return { deleted: deleted ?? 0, changed: changed ?? 0, added: added ?? 0 };
}

async function compareByHand(scratch: Scratch, expected: Expected, signal: AbortSignal): Promise<void> {
  const place = join(scratch.directory, 'by-hand');
  await mkdir(place, { recursive: true });
  const { stdout } = await runTool('bash', [SCRIPT], {
    signal,
    stdout: 'text',
    env: {
      ...{ ...scratch.env, PLACE: place, BIN: scratch.bin, TABLE: 'readings', KEY: 'id' },
      ...{ PRODUCTION: conninfo(scratch.production), RESTORED: conninfo(scratch.restored) },
    },
  });
  await rm(place, { recursive: true, force: true });
  const { deleted, changed, added } = expected;
  const wanted = `${deleted + changed} ${changed + added}`;
  if (stdout.trim() !== wanted) throw new Error(`diff found ${stdout.trim()} lines instead of ${wanted}`);
}

/** A comparison that finds nothing would be fast. */
function requireFound(found: TableComparison[], { deleted, changed, added }: Expected): void {
  const { inserts, updates, deletes } = ruleOf(found[0] as TableComparison, 'replace').change;
  if (inserts === deleted && updates === changed && deletes === added) return;
  throw new Error(`the comparison found ${inserts}, ${updates} and ${deletes} rows`);
}
