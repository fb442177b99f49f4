import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { verifyImport } from '../../src/engines/mysql/import/verify.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';
import { brokenIn, fill, rowsOf, text, WORLD, world } from './mysql-world.ts';

/** HOLDFAST_RUNS=100 for more; what fails prints its seed. */
const RUNS = Number(process.env.HOLDFAST_RUNS ?? 5);

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
      const sides = await server.make(...WORLD);
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
          expect(await brokenIn(sides.live)).toBe(0);
          expect((await verifyImport(plan, quietly)).map(({ verdict }) => verdict)).not.toContain('fail');
          const again = await sides.plan(tables, { conflict });
          for (const comparison of again.comparisons) {
            expect(ruleOf(comparison, conflict).change).toMatchObject({ inserts: 0, updates: 0, deletes: 0 });
          }
        }),
        { numRuns: RUNS },
      );
    },
    60_000 * RUNS,
  );
});
