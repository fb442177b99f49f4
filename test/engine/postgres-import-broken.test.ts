import { readdir, readlink } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ImportInput } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import type { Run } from '../../src/model/progress.ts';
import { memoryUndo, quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

/** What goes wrong while production's tables are locked: it ends at once, and nobody has to wait for it. */

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** More than sockets and streams take in between, however it is compressed. */
const BULKY = `CREATE TABLE bulky (id text PRIMARY KEY, note text);
  ALTER TABLE bulky ALTER note SET STORAGE EXTERNAL;
  INSERT INTO bulky SELECT repeat(md5(n::text), 20) || n,
      (SELECT string_agg(md5((n * 1000 + part)::text), '') FROM generate_series(1, 200) part)
    FROM generate_series(1, 8000) n`;
const CONTENT = 'SELECT count(*)::int AS n, md5(string_agg(note, NULL ORDER BY id)) AS notes FROM bulky';

async function expectNothingHeld(sides: Sides): Promise<void> {
  await expect
    .poll(() =>
      sides.live(`SELECT a.application_name, l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.relation = 'bulky'::regclass AND a.application_name LIKE 'holdfast import%'`),
    )
    .toEqual([]);
}

async function replacing(sides: Sides, drift = 0): Promise<ImportInput> {
  await sides.live("UPDATE bulky SET note = 'other ' || note");
  return { ...(await sides.plan(['public.bulky'])), conflict: 'replace', drift };
}

test('an upload of what is replaced fails after its first part: the tables are free again at once', async () => {
  const sides = await server.make(BULKY);
  const plan = await replacing(sides);
  const before = await sides.live(CONTENT);
  const failing = {
    ...memoryUndo(),
    sink: {
      put: async (_: string, content: AsyncIterable<unknown>) => {
        for await (const _part of content) throw new Error('the store is gone');
        return [];
      },
    },
  };
  await expect(importRows({ ...plan, undo: failing }, quietly)).rejects.toThrow('the store is gone');
  await expectNothingHeld(sides);
  expect(await sides.live(CONTENT)).toEqual(before);
  expect((await importRows(plan, quietly)).tables[0]?.updated).toBe(8000);
  expect(await sides.live(CONTENT)).toEqual(await sides.copy(CONTENT));
});

test('the comparison under the lock fails in its middle: the tables are free again at once', async () => {
  const sides = await server.make(BULKY);
  const plan = await replacing(sides, 10);
  let seen = 0;
  const failing: Run = {
    ...quietly,
    progress: ({ phase, done }) => {
      if (phase.startsWith('comparing') && (done ?? 0) > 0) {
        seen += 1;
        throw new Error('no space left on the device');
      }
    },
  };
  await expect(importRows(plan, failing)).rejects.toThrow('no space left on the device');
  expect(seen).toBe(1);
  await expectNothingHeld(sides);
  expect((await importRows(plan, quietly)).tables[0]?.updated).toBe(8000);
});

test('aborted while rows are staged: the list of approved rows is closed again', async () => {
  const sides = await server.make(`CREATE TABLE many (id text PRIMARY KEY);
    INSERT INTO many SELECT repeat(md5(n::text), 8) || n FROM generate_series(1, 60000) n`);
  await sides.live('DELETE FROM many');
  const plan = await sides.plan(['public.many']);
  const abort = new AbortController();
  const aborting: Run = {
    signal: abort.signal,
    progress: ({ phase }) => {
      if (phase.startsWith('staging')) abort.abort(new Error('cancelled by a person'));
    },
  };
  await expect(importRows(plan, aborting)).rejects.toThrow('cancelled by a person');
  const folder = plan.comparisons[0]?.keysFolder as string;
  await expect.poll(async () => (await openFiles()).filter((path) => path.startsWith(folder))).toEqual([]);
});

async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  return Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
}
