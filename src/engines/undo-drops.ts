import type { UndoRule } from '../model/plan.ts';

/**
 * Which of the tables that an import made are dropped under a rule. Tables that may refer to each other go together: one
 * stays where something needs it that stays. `isNeeded` says that, of those that go so far.
 */
export function dropsOf<Created extends { isChanged: boolean }>(
  tables: readonly Created[],
  rule: UndoRule,
  isThere: (table: Created) => boolean,
  isNeeded: (table: Created, going: readonly Created[]) => boolean,
): { table: Created; drop: boolean }[] {
  let going = tables.filter((table) => isThere(table) && (rule === 'overwrite-changed' || !table.isChanged));
  for (;;) {
    const left = going.filter((table) => !isNeeded(table, going));
    if (left.length === going.length) return tables.map((table) => ({ table, drop: going.includes(table) }));
    going = left;
  }
}
