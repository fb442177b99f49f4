import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../src/engines/postgres/import/verify.ts';
import { type Death, fileJournal } from './dying-worker.ts';
import { quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

describe('a worker killed', () => {
  const DEATHS: [Death, boolean][] = [
    ['staging', false],
    ['changing', false],
    ['before-journal', false],
    ['after-journal', false],
    ['done', true],
  ];
  test.each(DEATHS)(
    '%s: the next attempt has one result, and nothing is left behind',
    async (death, done) => {
      // A key does not guard this table's other rows: applied twice, the counter would tell.
      const sides = await server.make(`CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE seen (n int);
      CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (1); RETURN NEW; END $$;
      INSERT INTO t SELECT n, n FROM generate_series(1, 25000) n;
      CREATE TRIGGER counting AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION count_it()`);
      await sides.live('DELETE FROM t WHERE id > 1000');
      const journalFile = join(sides.directory, 'journal');
      const plan = await sides.plan(['public.t'], fileJournal(journalFile));
      const inputFile = join(sides.directory, 'input.json');
      await writeFile(inputFile, JSON.stringify({ ...plan, journal: null, undo: null }));
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'postgres-import-child.ts'), inputFile, journalFile, death],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);

      // What its application deletes in between must not be brought back by a second attempt at finished work.
      if (done) await sides.live('DELETE FROM t WHERE id = 25000');
      const result = await importRows({ ...plan, lockTimeoutMs: 20_000 }, quietly);
      expect(result.alreadyDone).toBe(done);
      expect(result.tables).toMatchObject([{ inserted: 24_000, vanished: 0 }]);
      expect(
        await sides.live('SELECT count(*)::int AS n, (SELECT count(*)::int FROM seen) AS seen FROM t'),
      ).toEqual([{ n: done ? 24_999 : 25_000, seen: 0 }]);
      expect(await sides.live("SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'counting'")).toEqual([
        { tgenabled: 'O' },
      ]);
      expect(await importRows(plan, quietly)).toEqual({ ...result, alreadyDone: true });
      const left = await sides.live(`SELECT
      (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
      (SELECT count(*)::int FROM pg_class WHERE relname LIKE 'holdfast%') AS stages,
      (SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'holdfast import') AS sessions`);
      expect(left).toEqual([{ locks: 0, stages: 0, sessions: 0 }]);
    },
  );
});

interface World {
  parents: { id: number; code: number | null; boss: number | null }[];
  children: { a: string; b: number; parent: number | null }[];
}
const id = fc.integer({ min: 1, max: 12 });
const parents = fc.uniqueArray(
  fc.record({ id, code: fc.option(fc.integer({ min: 1, max: 8 })), boss: fc.option(id) }),
  { selector: (row) => row.id, maxLength: 12 },
);
const children = fc.uniqueArray(
  fc.record({
    a: fc.constantFrom('', 'a', 'A', 'ä', '\\N', 'x\ty', 'x\\t', 'x!'),
    b: fc.integer({ min: -3, max: 12 }),
    parent: fc.option(id),
  }),
  { selector: (row) => `${row.a}|${row.b}`, maxLength: 20 },
);
const world: fc.Arbitrary<World> = fc.record({ parents, children }).map(consistent);

/** Without what the constraints would refuse. */
function consistent({ parents, children }: World): World {
  const ids = new Set(parents.map((row) => row.id));
  const codes = new Set<number>();
  const kept = parents.map((row) => {
    const code = row.code !== null && !codes.has(row.code) ? row.code : null;
    if (code !== null) codes.add(code);
    return { ...row, code, boss: row.boss !== null && ids.has(row.boss) ? row.boss : null };
  });
  return { parents: kept, children: children.filter((row) => row.parent === null || ids.has(row.parent)) };
}

describe('insert-missing', () => {
  test('loses no row of either side, and says of each restored row that stays away why', async () => {
    const sides =
      await server.make(`CREATE TABLE parents (id int PRIMARY KEY, code int UNIQUE, boss int REFERENCES parents);
      CREATE TABLE children (a text, b int, parent int REFERENCES parents, PRIMARY KEY (a, b))`);
    await fc.assert(
      fc.asyncProperty(world, world, fc.boolean(), async (before, after, both) => {
        await Promise.all([fill(sides.live, after), fill(sides.copy, before)]);
        const [live, copy] = [await rowsOf(sides.live), await rowsOf(sides.copy)];
        const plan = await sides.plan(both ? ['public.children', 'public.parents'] : ['public.children']);
        const result = await importRows(plan, quietly);
        const now = await rowsOf(sides.live);
        for (const table of ['parents', 'children'] as const) {
          // Every row of production is as it was.
          expect([...now[table]].filter(([key]) => live[table].has(key))).toEqual([...live[table]]);
          // Every restored row is there, or one of those that the plan left out.
          const change = result.tables.find((found) => found.table === `public.${table}`);
          if (change === undefined) continue;
          const away = [...copy[table].keys()].filter((key) => !now[table].has(key)).length;
          expect(away).toBe(change.orphans + change.uniqueClashes);
          const back = [...now[table]].filter(([key]) => !live[table].has(key));
          expect(back).toEqual([...copy[table]].filter(([key]) => back.some(([other]) => other === key)));
          expect(back).toHaveLength(change.inserted);
          // None stays away that could have come: its reason still holds now.
          expect(
            await couldCome(
              sides,
              table,
              [...copy[table]].filter(([key]) => !now[table].has(key)).map(([, row]) => row),
            ),
          ).toBe(0);
        }
        expect((await verifyImport(plan, quietly)).map(({ verdict }) => verdict)).not.toContain('fail');
      }),
      { numRuns: 12 },
    );
  });
});

type Query = Sides['live'];

async function fill(query: Query, { parents, children }: World): Promise<void> {
  await query(`TRUNCATE children, parents;
    INSERT INTO parents SELECT * FROM json_populate_recordset(NULL::parents, ${quote(JSON.stringify(parents))});
    INSERT INTO children SELECT * FROM json_populate_recordset(NULL::children, ${quote(JSON.stringify(children))})`);
}

const quote = (text: string) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

async function rowsOf(query: Query): Promise<Record<'parents' | 'children', Map<string, string>>> {
  const read = async (sql: string) =>
    new Map((await query(sql)).map(({ key, row }) => [String(key), String(row)] as const));
  return {
    parents: await read('SELECT id::text AS key, row_to_json(t)::text AS row FROM parents t ORDER BY id'),
    children: await read(
      `SELECT (a || '|' || b) AS key, row_to_json(t)::text AS row FROM children t ORDER BY a COLLATE "C", b`,
    ),
  };
}

/** How many of these rows production would take, one at a time. */
async function couldCome(sides: Sides, table: string, rows: string[]): Promise<number> {
  let taken = 0;
  for (const row of rows) {
    const insert = `INSERT INTO ${table} SELECT * FROM json_populate_record(NULL::${table}, ${quote(row)})`;
    const came = await sides.live(`BEGIN; ${insert}; ROLLBACK`).then(
      () => true,
      () => false,
    );
    if (came) taken += 1;
  }
  return taken;
}
