import type { UndoRule } from '../model/plan.ts';

/**
 * SQL conditions on a row of the undo data, by its alias: what is done to it under a rule. Each engine has such rows in a
 * temporary table: `holdfast_kind` what the import did (`i` inserted, `u` updated, `d` deleted), `holdfast_state` what has
 * become of the row (`a` absent, `o` as the import left it, `c` changed by others, `s` again as before the import),
 * `holdfast_left` null, or why nothing happens to it after all.
 */
export interface Actions {
  deletes(s: string): string;
  inserts(s: string): string;
  /** be it by deleting and inserting it */
  updates(s: string): string;
  /** it will be as it was */
  comes(s: string): string;
  /** anything at all */
  acts(s: string): string;
  /** the same, had nothing been left alone: one of `d`, `i`, `u`, `n` */
  wanted(s: string): string;
}

export function actionsOf(rule: UndoRule): Actions {
  const over = rule === 'overwrite-changed';
  const isDelete = (s: string) =>
    `${s}.holdfast_kind = 'i' AND ${s}.holdfast_state IN (${over ? `'o', 'c'` : `'o'`})`;
  const isInsert = (s: string) =>
    `${s}.holdfast_kind ${over ? `<> 'i'` : `= 'd'`} AND ${s}.holdfast_state = 'a'`;
  const isUpdate = (s: string) =>
    over
      ? `${s}.holdfast_kind <> 'i' AND ${s}.holdfast_state IN ('o', 'c')`
      : `${s}.holdfast_kind = 'u' AND ${s}.holdfast_state = 'o'`;
  const unlessLeft = (condition: (s: string) => string) => (s: string) =>
    `((${condition(s)}) AND (${s}.holdfast_left IS NULL OR ${s}.holdfast_left = 'r'))`;
  return {
    deletes: unlessLeft(isDelete),
    inserts: unlessLeft(isInsert),
    updates: unlessLeft(isUpdate),
    comes: unlessLeft((s) => `(${isInsert(s)}) OR (${isUpdate(s)})`),
    acts: unlessLeft((s) => `(${isDelete(s)}) OR (${isInsert(s)}) OR (${isUpdate(s)})`),
    wanted: (s) =>
      `CASE WHEN ${isDelete(s)} THEN 'd' WHEN ${isInsert(s)} THEN 'i' WHEN ${isUpdate(s)} THEN 'u' ELSE 'n' END`,
  };
}

/** SQL: others have changed or removed row `s` of the undo data, so that keep-changed leaves it as it is. */
export function isChanged(s: string): string {
  return `(CASE ${s}.holdfast_kind WHEN 'u' THEN ${s}.holdfast_state NOT IN ('o', 's')
    WHEN 'i' THEN ${s}.holdfast_state = 'c' ELSE ${s}.holdfast_state NOT IN ('a', 's') END)`;
}
