import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { UndoRule } from '../../src/model/plan.ts';
import { quietly } from './postgres-sides-fixture.ts';
import type { ImportedByHand } from './postgres-undo-fixture.ts';

export const PEOPLE = `CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, note text);
  INSERT INTO people SELECT n, 'p' || n, 'before' FROM generate_series(1, 30) n`;
/** Inserts 31 to 40, updates 1 to 10, deletes 21 to 30. */
export const CHANGE = {
  'public.people': {
    key: ['id'],
    columns: ['id', 'email', 'note'],
    inserted: `SELECT id FROM people WHERE id > 30`,
    replaced: `SELECT CASE WHEN id <= 10 THEN 'u' ELSE 'd' END, id, email, note FROM people WHERE id <= 10 OR id > 20`,
  },
};
export const IMPORT = `INSERT INTO people SELECT n, 'p' || n, 'imported' FROM generate_series(31, 40) n;
  UPDATE people SET note = 'imported' WHERE id <= 10; DELETE FROM people WHERE id BETWEEN 21 AND 30`;

/** What both rules would do, each with its counts: inserts, updates, deletes, orphans, clashes. */
export async function planned(by: ImportedByHand) {
  const comparisons = await planUndo(by.input(), quietly);
  const of = (rule: UndoRule, table = 0) => {
    const comparison = comparisons[table];
    if (comparison === undefined) throw new Error('no such table');
    const found = ruleOf(comparison, rule);
    const { inserts, updates, deletes, orphans, uniqueClashes } = found.change;
    return { ...found, counts: [inserts, updates, deletes, orphans, uniqueClashes] };
  };
  return {
    comparisons,
    keep: (table?: number) => of('keep-changed', table),
    over: (table?: number) => of('overwrite-changed', table),
  };
}
