import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import {
  memoryJournal,
  memoryUndo,
  quietly,
  type Sides,
  type SidesServer,
  startSides,
} from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Imports what is missing of `public.t`, after `meanwhile`: the lines of keys that were kept of it, in order. */
async function importKeys(sides: Sides, meanwhile?: string): Promise<string[]> {
  const journal = memoryJournal();
  const undo = memoryUndo();
  const plan = await sides.plan(['public.t'], journal);
  if (meanwhile !== undefined) await sides.live(meanwhile);
  await importRows({ ...plan, undo }, quietly);
  const [object] = journal.records.at(-1)?.undo?.tables[0]?.inserted ?? [];
  return undo.lines(object?.key as string).sort();
}

const ROWS = 'SELECT k::text, v FROM t ORDER BY t.k';

describe('rows with integers for keys', () => {
  test.each([
    ['int2, over all of its range', 'int2', 'n - 32769', 65_536, 'k % 3 <> 0'],
    ['int4, far from each other', 'int4', '(n - 500) * 1000', 1_000, 'k % 7000 <> 0'],
    ['int8, some alone among many', 'int8', 'n * n', 400, 'k % 5 = 1'],
    ['int8, beyond what a double tells apart', 'int8', '9007199254740900 + n', 400, 'k % 2 = 1'],
    ['int8, up to its end', 'int8', '9223372036854775807 - n + 1', 50, 'k % 2 = 1'],
    ['a domain', '"My key"', 'n - 20', 40, 'k % 3 = 0'],
    ['oid, beyond int4', 'oid', '(4294967290 - n)::oid', 100, 'k::int8 % 2 = 0'],
  ])('come back: %s', async (_, type, key, count, lost) => {
    const sides = await server.make(`CREATE DOMAIN "My key" AS int4 CHECK (VALUE > -100);
      CREATE TABLE t (k ${type} PRIMARY KEY, v text);
      INSERT INTO t SELECT ${key}, 'row ' || n FROM generate_series(1::int8, ${count}) n`);
    await sides.live(`DELETE FROM t WHERE ${lost}`);
    const kept = await importKeys(sides);
    expect(await sides.live(ROWS)).toEqual(await sides.copy(ROWS));
    const keys = await sides.copy(`SELECT k::text AS k FROM t WHERE ${lost}`);
    expect(kept).toEqual(keys.map(({ k }) => k as string).sort());
  });
});

describe('the keys that are kept', () => {
  test('are those of rows that came, not of one that was back by itself', async () => {
    const sides = await server.make(`CREATE TABLE t (k int PRIMARY KEY, v text);
      INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 9) n`);
    await sides.live('DELETE FROM t WHERE k > 5');
    expect(await importKeys(sides, `INSERT INTO t VALUES (7, 'by hand')`)).toEqual(['6', '8', '9']);
  });

  test('are written as they are in production, be it equal otherwise', async () => {
    const sides = await server.make(`CREATE TABLE t (k numeric PRIMARY KEY, v text);
      INSERT INTO t VALUES (1.00, 'a'), (2.50, 'b')`);
    await sides.live('DELETE FROM t');
    expect(await importKeys(sides)).toEqual(['1.00', '2.50']);
  });
});
