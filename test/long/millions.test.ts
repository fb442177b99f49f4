import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Sides, type SidesServer, startSides } from '../engine/postgres-sides-fixture.ts';
import type { Work, Worked } from './millions-child.ts';

const ROWS = Number(process.env.HOLDFAST_ROWS ?? 5_000_000);
/** Of heap, and of all memory: a worker holds a few buffers and no rows, however many there are. */
const HEAP_MIB = 256;
const MEMORY_MIB = 512;
/** In all, one row of a hundred: deleted, changed and new. */
const EVERY = 300;

let server: SidesServer;
let sides: Sides;
beforeAll(async () => {
  server = await startSides();
  sides =
    await server.make(`CREATE TABLE readings (id bigint PRIMARY KEY, device text NOT NULL, at timestamptz, amount numeric, note text);
    INSERT INTO readings SELECT n, 'device ' || n % 5000, timestamptz '2026-01-01 00:00+00' + n * interval '7 s', n / 4.0, CASE WHEN n % 3 > 0 THEN md5(n::text) END
      FROM generate_series(1, ${ROWS}) n`);
});
afterAll(async () => {
  await server?.end();
});

const CONTENT = `SELECT count(*)::int AS rows, sum(pg_catalog.hashtextextended(t::text, 0))::text AS hash FROM readings t`;

let works = 0;
async function work(name: string, conflict: Work['conflict']): Promise<Worked> {
  works += 1;
  const folder = join(server.directory, name);
  await mkdir(join(folder, 'undone'), { recursive: true });
  const [file, answer] = [join(folder, `work-${works}`), join(folder, `answer-${works}`)];
  const journal = join(folder, 'journal');
  const order: Work = { input: sides.input(['public.readings']), conflict, folder, journal, answer };
  await writeFile(file, JSON.stringify(order));
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MIB}`, join(import.meta.dirname, 'millions-child.ts'), file],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  expect(await once(child, 'exit')).toEqual([0, null]);
  const worked = JSON.parse(await readFile(answer, 'utf8')) as Worked;
  expect(worked.peak).toBeLessThan(MEMORY_MIB);
  expect(worked.verdicts.filter((verdict) => verdict !== 'pass')).toEqual([]);
  return worked;
}

const few = Math.floor(ROWS / EVERY);
const changed = Math.floor((ROWS - 1) / EVERY) + 1;

it('replace, with one row of a hundred deleted, changed or new; and its undo', async () => {
  await sides.live(`DELETE FROM readings WHERE id % ${EVERY} = 0; UPDATE readings SET note = 'changed' WHERE id % ${EVERY} = 1;
    INSERT INTO readings SELECT ${ROWS} + n, 'new' FROM generate_series(1, ${few}) n`);
  const before = await sides.live(CONTENT);
  const imported = await work('replace', 'replace');
  expect(imported.planned).toMatchObject({
    inserts: few,
    updates: changed,
    deletes: few,
    orphans: 0,
    uniqueClashes: 0,
  });
  expect(imported.done).toMatchObject({ inserted: few, updated: changed, deleted: few });
  expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
  const undone = await work('replace', null);
  expect(undone.done).toMatchObject({ inserted: few, updated: changed, deleted: few });
  expect(await sides.live(CONTENT)).toEqual(before);
});

it('insert-missing of all rows into a table that was truncated; and its undo', async () => {
  await sides.live('TRUNCATE readings');
  const imported = await work('insert-missing', 'insert-missing');
  expect(imported.planned).toMatchObject({
    inserts: ROWS,
    updates: 0,
    deletes: 0,
    orphans: 0,
    uniqueClashes: 0,
  });
  expect(imported.done).toMatchObject({ inserted: ROWS, updated: 0, deleted: 0 });
  expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
  const undone = await work('insert-missing', null);
  expect(undone.done).toMatchObject({ inserted: 0, updated: 0, deleted: ROWS });
  expect(await sides.live(CONTENT)).toEqual([{ rows: 0, hash: null }]);
});
