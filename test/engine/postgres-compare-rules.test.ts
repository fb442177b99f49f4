import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableComparison } from '../../src/engines/engine.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Inserts, updates, deletes, orphans, clashes. */
type Effects = [number, number, number, number, number];

function effectsOf(found: TableComparison, rule: ConflictRule): Effects {
  const { inserts, updates, deletes, orphans, uniqueClashes } = ruleOf(found, rule).change;
  return [inserts, updates, deletes, orphans, uniqueClashes];
}

async function effects(sides: Sides, ...tables: string[]): Promise<Record<ConflictRule, Effects>[]> {
  const found = await compare(sides.input(tables), quietly);
  return found.map((table) => ({
    'insert-missing': effectsOf(table, 'insert-missing'),
    'restore-changed': effectsOf(table, 'restore-changed'),
    replace: effectsOf(table, 'replace'),
    'side-by-side': effectsOf(table, 'side-by-side'),
  }));
}

describe('the effects of each rule', () => {
  test('rows deleted, changed and new', async () => {
    const sides = await server.make(`CREATE TABLE t (id int PRIMARY KEY, v text, n numeric);
      INSERT INTO t SELECT n, 'v' || n, n FROM generate_series(1, 1000) n`);
    await sides.live(`DELETE FROM t WHERE id % 10 = 0; UPDATE t SET v = 'x' WHERE id % 10 = 1;
      INSERT INTO t SELECT n, 'new', 1 FROM generate_series(2001, 2030) n`);
    expect(await effects(sides, 'public.t')).toEqual([
      {
        'insert-missing': [100, 0, 0, 0, 0],
        'restore-changed': [100, 100, 0, 0, 0],
        replace: [100, 100, 30, 0, 0],
        'side-by-side': [1000, 0, 0, 0, 0],
      },
    ]);
  });
});
