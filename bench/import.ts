import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ImportInput, ImportRecord } from '../src/engines/contract/change.ts';
import { postgres } from '../src/engines/postgres/postgres.ts';
import { runTool } from '../src/engines/process.ts';
import type { StoredObject } from '../src/model/backup.ts';
import { compareInput } from './compare.ts';
import { LoadWatch, type Row, rowOfPairs, timed } from './measure.ts';
import { FULL_SCALE } from './postgres-data.ts';
import { conninfo, type Scratch, settleScratch, withScratch } from './scratch.ts';

/** Rows that were deleted and come back, at the full scale: every second of the table. */
const ROWS = 1_000_000;
const LOST = 'id % 2 = 0';
const SCRIPT = fileURLToPath(new URL('by-hand/import.sh', import.meta.url));

/** The import of lost rows, in turn with a copy into a new table and INSERT … SELECT from there. */
export async function benchImport(options: {
  pairs: number;
  scale: number;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<Row> {
  const { pairs, signal, say } = options;
  const count = Math.round((ROWS * options.scale) / FULL_SCALE);
  const load = new LoadWatch();
  const times = { ours: [] as number[], theirs: [] as number[] };
  await withScratch(2 * count, options, async (scratch) => {
    for (let pair = 1; pair <= pairs; pair += 1) {
      await loseRows(scratch, signal);
      times.theirs.push(await timed(() => importByHand(scratch, signal)));
      await requireRows(scratch, count);
      load.look();
      await loseRows(scratch, signal);
      // What was approved is known when an import begins.
      const approved = await plan(scratch, signal);
      times.ours.push(
        await timed(async () => {
          await postgres.import(approved, { signal, progress: () => {} });
        }),
      );
      await rm(approved.place.directory, { recursive: true, force: true });
      await requireRows(scratch, count);
      load.look();
      say(
        `import ${pair}/${pairs}: by hand ${times.theirs.at(-1)?.toFixed(1)} s, import ${times.ours.at(-1)?.toFixed(1)} s`,
      );
    }
  });
  return rowOfPairs(
    {
      name: 'import',
      what: `import of ${count.toLocaleString('en-US')} rows that are missing`,
      against: '`COPY` into a new table and `INSERT … SELECT`',
      ...{ atMost: 1.3, load: load.highest },
    },
    'ratio',
    times.ours,
    times.theirs,
  );
}

async function loseRows(scratch: Scratch, signal: AbortSignal): Promise<void> {
  const { client } = scratch.production;
  await client.query(`DELETE FROM readings WHERE ${LOST}`);
  await client.query('VACUUM ANALYZE readings');
  await settleScratch(scratch, signal);
}

async function plan(scratch: Scratch, signal: AbortSignal): Promise<ImportInput> {
  const input = compareInput(scratch);
  const records: ImportRecord[] = [];
  return {
    ...input,
    comparisons: await postgres.compare(input, { signal, progress: () => {} }),
    journal: { read: async () => records, write: async (record) => void records.push(record) },
    ...{
      conflict: 'insert-missing',
      drift: 0,
      planDigest: 'bench',
      database: 'bench',
      lockTimeoutMs: 10_000,
      undo: { folder: 'undo/', expiresAt: new Date().toISOString(), sink: { put: discard } },
    },
  };
}

/** What an import keeps is sent nowhere: the same by hand keeps nothing. */
async function discard(name: string, content: Readable): Promise<StoredObject[]> {
  let sizeBytes = 0;
  for await (const piece of content) sizeBytes += (piece as Buffer).length;
  return [{ key: name, versionId: null, sizeBytes, sha256: '' }];
}

async function importByHand(scratch: Scratch, signal: AbortSignal): Promise<void> {
  await runTool('bash', [SCRIPT], {
    signal,
    env: {
      ...{ ...scratch.env, BIN: scratch.bin, TABLE: 'readings', KEY: 'id', ROWS: LOST },
      ...{ PRODUCTION: conninfo(scratch.production), RESTORED: conninfo(scratch.restored) },
    },
  });
}

async function requireRows({ production: { client } }: Scratch, count: number): Promise<void> {
  const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM readings WHERE ${LOST}`);
  if (Number(rows[0]?.count) !== count) throw new Error(`${rows[0]?.count} of ${count} lost rows are back`);
}
