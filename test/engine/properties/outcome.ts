import { expect } from 'vitest';
import type { Counts, Rows } from './model.ts';
import type { RandomSchema, RandomTable } from './schema.ts';

export const RULES = ['insert-missing', 'restore-changed', 'replace'] as const;
export type Rule = (typeof RULES)[number];

/** Which differences a rule undoes. */
export const KINDS: Record<Rule, readonly (keyof Counts)[]> = {
  'insert-missing': ['missing'],
  'restore-changed': ['missing', 'changed'],
  replace: ['missing', 'changed', 'extra'],
};

/**
 * Every row is as it was, or as the restored copy has it where the rule says so; and as many as the plan said are
 * left alone. `left` null: the table was not named, and nothing in it may change.
 */
export function expectRows(
  table: RandomTable,
  rule: Rule,
  { before, restored, after }: { before: Rows; restored: Rows; after: Rows },
  left: number | null,
): void {
  const kinds = left === null ? [] : KINDS[rule];
  // Of rows that are equal as far as both sides know them, nobody can say which is which.
  const text = table.kind === 'none' ? 'common' : 'whole';
  let kept = 0;
  for (const key of new Set([...before.keys(), ...restored.keys(), ...after.keys()])) {
    const [was, wanted, is] = [before.get(key), restored.get(key), after.get(key)];
    const what = `${rule}, row ${key} of ${table.name}`;
    const kind = kindOf(was?.common, wanted?.common);
    const asItWas = () => expect(is?.[text], what).toBe(was?.[text]);
    if (kind === null || !kinds.includes(kind)) {
      asItWas();
      continue;
    }
    if (is?.common === wanted?.common) continue;
    asItWas();
    kept += 1;
  }
  expect(kept, `${rule}: rows of ${table.name} that are left alone`).toBe(left ?? 0);
}

/** Every row is again as it was before, but for as many as are `left` as the import made them. */
export function expectTakenBack(
  schema: RandomSchema,
  { before, imported, now }: Record<'before' | 'imported' | 'now', readonly Rows[]>,
  left: number,
  what: string,
): void {
  let kept = 0;
  for (const [index, { name }] of schema.entries()) {
    const [was, then, is] = [before[index] as Rows, imported[index] as Rows, now[index] as Rows];
    for (const key of new Set([...was.keys(), ...is.keys()])) {
      if (is.get(key)?.whole === was.get(key)?.whole) continue;
      const wanted = left === 0 ? was : then;
      expect(is.get(key)?.whole, `${what}, row ${key} of ${name}`).toBe(wanted.get(key)?.whole);
      kept += 1;
    }
  }
  expect(kept, `${what}: rows that are left alone`).toBe(left);
}

function kindOf(was: string | undefined, wanted: string | undefined): keyof Counts | null {
  if (was === wanted) return null;
  if (was === undefined) return 'missing';
  return wanted === undefined ? 'extra' : 'changed';
}
