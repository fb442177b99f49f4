import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { verifyImport } from '../../src/engines/mysql/import/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';

interface World {
  parents: { id: number; code: string | null; boss: number | null }[];
  children: { a: string; b: number; parent: number | null; v: number }[];
}
const id = fc.integer({ min: 1, max: 12 });
const world: fc.Arbitrary<World> = fc
  .record({
    parents: fc.uniqueArray(
      fc.record({ id, code: fc.option(fc.constantFrom('a', 'b', 'C', 'd', 'e', 'f')), boss: fc.option(id) }),
      { selector: (row) => row.id, maxLength: 12 },
    ),
    children: fc.uniqueArray(
      fc.record({
        a: fc.constantFrom('', 'a', 'ä', "it's", 'x\ty', 'x\\t', '\\N', 'Ω'),
        b: fc.integer({ min: -3, max: 5 }),
        parent: fc.option(id),
        v: fc.integer({ min: 0, max: 2 }),
      }),
      { selector: (row) => `${row.a}|${row.b}`, maxLength: 15 },
    ),
  })
  .map(({ parents, children }) => {
    const ids = new Set(parents.map((row) => row.id));
    const codes = new Set<string>();
    const kept = parents.map((row) => {
      const code = row.code !== null && !codes.has(row.code) ? row.code : null;
      if (code !== null) codes.add(code);
      return { ...row, code, boss: row.boss !== null && ids.has(row.boss) ? row.boss : null };
    });
    return { parents: kept, children: children.filter((row) => row.parent === null || ids.has(row.parent)) };
  });

type Query = Sides['live'];
type Rows = Record<'parents' | 'children', Map<string, string>>;

const text = (value: string | number | null) =>
  value === null
    ? 'NULL'
    : typeof value === 'number'
      ? String(value)
      : `x'${Buffer.from(value).toString('hex')}'`;

async function fill(query: Query, { parents, children }: World): Promise<void> {
  const values = (rows: (string | number | null)[][]) =>
    rows.map((row) => `(${row.map(text).join(',')})`).join(',');
  await query(
    'SET foreign_key_checks = 0',
    'DELETE FROM children',
    'DELETE FROM parents',
    ...(parents.length === 0
      ? []
      : [`INSERT INTO parents VALUES ${values(parents.map((row) => [row.id, row.code, row.boss]))}`]),
    ...(children.length === 0
      ? []
      : [`INSERT INTO children VALUES ${values(children.map((row) => [row.a, row.b, row.parent, row.v]))}`]),
  );
}

async function rowsOf(query: Query): Promise<Rows> {
  const read = async (table: string, key: string) =>
    new Map(
      (await query(`SELECT * FROM ${table} ORDER BY ${key}`)).map((row) => [
        JSON.stringify(Object.values(row).slice(0, key.split(',').length)),
        JSON.stringify(row),
      ]),
    );
  return { parents: await read('parents', 'id'), children: await read('children', 'a, b') };
}

describe.each(SERIES)('imports of any rows on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  /** Whether production, with its checks on, would take a row as it is in the copy. */
  async function couldCome(sides: Sides, table: string, row: string): Promise<boolean> {
    const values = Object.values(JSON.parse(row) as Record<string, string | number | null>).map(text);
    return sides
      .live('START TRANSACTION', `INSERT INTO ${table} VALUES (${values.join(',')})`, 'ROLLBACK')
      .then(
        () => true,
        () => false,
      );
  }

  test.each<ConflictRule>(['insert-missing', 'restore-changed', 'replace'])(
    '%s does what the plan says, leaves what it has to, and breaks nothing',
    async (conflict) => {
      const sides = await server.make(
        `CREATE TABLE parents (id int PRIMARY KEY, code varchar(5) COLLATE utf8mb4_general_ci UNIQUE, boss int,
           FOREIGN KEY (boss) REFERENCES parents (id) ON DELETE CASCADE)`,
        `CREATE TABLE children (a varchar(9) COLLATE utf8mb4_bin, b int, parent int, v int, PRIMARY KEY (a, b),
           FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE SET NULL)`,
      );
      await fc.assert(
        fc.asyncProperty(world, world, fc.boolean(), async (before, after, both) => {
          await fill(sides.live, after);
          await fill(sides.copy, before);
          const [live, copy] = [await rowsOf(sides.live), await rowsOf(sides.copy)];
          const tables = both ? ['children', 'parents'] : [conflict === 'replace' ? 'parents' : 'children'];
          const plan = await sides.plan(tables, { conflict });
          const result = await importRows(plan, quietly);
          const now = await rowsOf(sides.live);
          for (const table of ['parents', 'children'] as const) {
            const change = result.tables.find((found) => found.table === `${sides.db}.${table}`);
            if (change === undefined) {
              // No cascade, no SET NULL.
              expect(now[table]).toEqual(live[table]);
              continue;
            }
            expect([change.inserted, change.updated, change.deleted]).toEqual([
              change.inserts,
              change.updates,
              change.deletes,
            ]);
            const came = [...now[table]].filter(([key]) => !live[table].has(key));
            const went = [...live[table]].filter(([key]) => !now[table].has(key));
            const moved = [...now[table]].filter(
              ([key, row]) => live[table].has(key) && live[table].get(key) !== row,
            );
            expect([came.length, moved.length, went.length]).toEqual([
              change.inserted,
              change.updated,
              change.deleted,
            ]);
            for (const [key, row] of [...came, ...moved]) expect(row).toBe(copy[table].get(key));
            const away = [...copy[table]].filter(([key]) => !now[table].has(key));
            const unlike = [...copy[table]].filter(
              ([key, row]) => now[table].has(key) && now[table].get(key) !== row,
            );
            const extra = [...now[table]].filter(([key]) => !copy[table].has(key));
            const left =
              away.length +
              (conflict === 'insert-missing' ? 0 : unlike.length) +
              (conflict === 'replace' ? extra.length : 0);
            expect(left).toBe(change.orphans + change.uniqueClashes);
            // None stays away that could have come: its reason still holds now.
            for (const [, row] of away) expect(await couldCome(sides, table, row)).toBe(false);
          }
          const broken = await sides.live(
            `SELECT (SELECT COUNT(*) FROM children c LEFT JOIN parents p ON p.id = c.parent WHERE c.parent IS NOT NULL AND p.id IS NULL) +
               (SELECT COUNT(*) FROM parents c LEFT JOIN parents p ON p.id = c.boss WHERE c.boss IS NOT NULL AND p.id IS NULL) AS n`,
          );
          expect(Number(broken[0]?.n)).toBe(0);
          expect((await verifyImport(plan, quietly)).map(({ verdict }) => verdict)).not.toContain('fail');
          const again = await sides.plan(tables, { conflict });
          for (const comparison of again.comparisons) {
            expect(ruleOf(comparison, conflict).change).toMatchObject({ inserts: 0, updates: 0, deletes: 0 });
          }
        }),
        { numRuns: 10 },
      );
    },
    300_000,
  );
});
