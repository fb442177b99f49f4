import type { Target } from './target.ts';

export const CONFLICT_RULES = ['insert-missing', 'restore-changed', 'replace', 'side-by-side'] as const;
export type ConflictRule = (typeof CONFLICT_RULES)[number];

/** What an import would do to one table, in rows. Orphans and clashes are left out of `inserts`. */
export interface TableChange {
  /** `schema.table` in the form of model/table.ts */
  table: string;
  inserts: number;
  updates: number;
  deletes: number;
  /** rows that cannot come back because a row that they refer to is neither there nor coming back */
  orphans: number;
  /** rows that cannot come back because another row holds one of their unique keys */
  uniqueClashes: number;
}

/** What a person approves. `digest` covers all of it, and the affected keys, not only their number. */
export interface Plan {
  digest: string;
  /** one sentence: `insert 25,000 rows into 2 tables of shop` */
  summary: string;
  backup: string;
  target: Target;
  /** where the restored copy really stopped, for people */
  position: string | null;
  conflict: ConflictRule | null;
  estimateSeconds: number;
  changes: TableChange[];
  /** what a person has to know before saying yes */
  notices: string[];
}

/** `25,000 rows`, `1 row`. */
export function countOf(amount: number, noun: string): string {
  return `${amount.toLocaleString('en-US')} ${noun}${amount === 1 ? '' : 's'}`;
}

export function summarizeChanges(database: string, changes: readonly TableChange[]): string {
  const sum = (pick: (change: TableChange) => number) =>
    changes.reduce((all, change) => all + pick(change), 0);
  const parts: string[] = [];
  const inserts = sum((change) => change.inserts);
  const updates = sum((change) => change.updates);
  const deletes = sum((change) => change.deletes);
  if (inserts > 0) parts.push(`insert ${countOf(inserts, 'row')}`);
  if (updates > 0) parts.push(`update ${countOf(updates, 'row')}`);
  if (deletes > 0) parts.push(`delete ${countOf(deletes, 'row')}`);
  const affected = changes.filter((change) => change.inserts + change.updates + change.deletes > 0).length;
  const what = parts.length === 0 ? 'change nothing' : `${parts.join(', ')} in ${countOf(affected, 'table')}`;
  const left = sum((change) => change.orphans + change.uniqueClashes);
  return `${what} of ${database}${left === 0 ? '' : `; ${countOf(left, 'row')} cannot come back`}`;
}
