import type { ConflictRule } from '../../../src/model/plan.ts';

/** A table as SQL and a runbook's input both read it, and what tells its rows apart. */
export interface HardTable {
  name: string;
  /** SQL over a row `t`; null: equal rows may be there several times */
  key: string | null;
}

/** One kind of table that makes an import hard, with data. */
export interface HardKind {
  name: string;
  tables: HardTable[];
  /** makes it, with its rows, before the copy is taken */
  made: string;
  /** what happens in production afterwards: rows deleted, changed and new */
  changed: string;
  /** rules that refuse one of its tables, and in which words */
  refused?: Partial<Record<ConflictRule, RegExp>>;
  /** what a plan has to say of it */
  said?: RegExp;
  /** sequences that have to be past the data after an import, and the tables whose id they number */
  sequences?: Record<string, string>;
}

/** Tables in the schema public, known by these columns. */
export function tablesOf(names: readonly string[], key: string | null = 't.id'): HardTable[] {
  return names.map((name) => ({ name: `public.${name}`, key }));
}

export const WITHOUT_KEY = {
  'insert-missing': /cannot be told apart without a key; replace and side-by-side need no key/,
  'restore-changed': /cannot be told apart without a key; replace and side-by-side need no key/,
};
