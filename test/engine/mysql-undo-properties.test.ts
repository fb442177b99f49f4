import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import { verifyUndo } from '../../src/engines/mysql/undo/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import { UNDO_RULES } from '../../src/model/plan.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type SidesServer, startSides } from './mysql-sides-fixture.ts';
import { importBy, plannedUndo, undoneBy } from './mysql-undo-fixture.ts';
import { brokenIn, fill, type Rows, rowsOf, WORLD, world } from './mysql-world.ts';

const id = fc.integer({ min: 1, max: 12 });
/** What others do once the import is there; what production refuses does not happen. */
const others = fc.array(
  fc.oneof(
    id.map((n) => `DELETE FROM parents WHERE id = ${n}`),
    fc.tuple(id, id).map(([n, boss]) => `UPDATE parents SET boss = ${boss} WHERE id = ${n}`),
    fc
      .tuple(id, fc.constantFrom('a', 'b', 'z'))
      .map(([n, code]) => `UPDATE parents SET code = '${code}' WHERE id = ${n}`),
    fc.tuple(id, id).map(([n, boss]) => `INSERT INTO parents VALUES (${n}, 'c', ${boss})`),
    fc
      .tuple(id, fc.integer({ min: -3, max: 5 }))
      .map(([n, b]) => `INSERT INTO children VALUES ('a', ${b}, ${n}, 9)`),
    fc.integer({ min: -3, max: 5 }).map((b) => `DELETE FROM children WHERE b = ${b}`),
    fc.integer({ min: -3, max: 5 }).map((b) => `UPDATE children SET v = 8 WHERE b = ${b}`),
  ),
  { maxLength: 5 },
);

const TABLES = ['parents', 'children'] as const;

/** HOLDFAST_RUNS=100 for more; what fails prints its seed. */
const RUNS = Number(process.env.HOLDFAST_RUNS ?? 5);

describe.each(SERIES)('undos of any imports on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  test.each(UNDO_RULES)(
    '%s does what the plan says, and breaks nothing',
    async (conflict) => {
      const sides = await server.make(...WORLD);
      const rule = fc.constantFrom('restore-changed' as const, 'replace' as const);
      await fc.assert(
        fc.asyncProperty(world, world, rule, others, async (copy, live, how, statements) => {
          await fill(sides.live, live);
          await fill(sides.copy, copy);
          const before = await rowsOf(sides.live);
          const imported = await importBy(sides, ['parents', 'children'], how);
          const after = await rowsOf(sides.live);
          if (imported.record.undo === null) return;
          for (const statement of statements) await sides.live(statement).catch(() => {});
          const found = await rowsOf(sides.live);
          const input = await plannedUndo(sides, imported, conflict);
          const result = await undo(input, quietly);
          const now = await rowsOf(sides.live);
          expect(await brokenIn(sides.live)).toBe(0);
          for (const table of TABLES) {
            const change = result.tables.find((one) => one.table === `${sides.db}.${table}`);
            const counts = countChanges(found[table], now[table]);
            const {
              inserted = 0,
              updated = 0,
              deleted = 0,
              inserts = 0,
              updates = 0,
              deletes = 0,
            } = change ?? {};
            expect([inserted, updated, deleted]).toEqual([inserts, updates, deletes]);
            expect(counts).toEqual([inserted, updated, deleted]);
            for (const [key, row] of now[table])
              if (found[table].get(key) !== row) expect(row).toBe(before[table].get(key));
            if (conflict === 'overwrite-changed') continue;
            const keys = new Set([...after[table].keys(), ...found[table].keys()]);
            const theirs = [...keys].filter((key) => after[table].get(key) !== found[table].get(key));
            for (const key of theirs) expect(now[table].get(key)).toBe(found[table].get(key));
          }
          const isAlone = TABLES.every((table) => same(after[table], found[table]));
          if (isAlone) expect(now).toEqual(before);
          const again = await plannedUndo(sides, imported, conflict);
          for (const comparison of again.comparisons) {
            expect(ruleOf(comparison, conflict).change).toMatchObject({ inserts: 0, updates: 0, deletes: 0 });
          }
          const { transaction } = input.journal.records.at(-1) ?? { transaction: 'x.y' };
          const checks = await verifyUndo({ ...input, transaction }, quietly);
          if (conflict === 'keep-changed') expect(checks.map(({ verdict }) => verdict)).not.toContain('fail');
          if (undoneBy(input).record.undo === null) return;
          await undo(await plannedUndo(sides, undoneBy(input)), quietly);
          expect(await rowsOf(sides.live)).toEqual(found);
        }),
        { numRuns: RUNS },
      );
    },
    60_000 * RUNS,
  );
});

function countChanges(from: Rows['parents'], to: Rows['parents']): [number, number, number] {
  const came = [...to.keys()].filter((key) => !from.has(key)).length;
  const moved = [...to].filter(([key, row]) => from.has(key) && from.get(key) !== row).length;
  const went = [...from.keys()].filter((key) => !to.has(key)).length;
  return [came, moved, went];
}

const same = (one: Rows['parents'], other: Rows['parents']): boolean =>
  JSON.stringify([...one]) === JSON.stringify([...other]);
