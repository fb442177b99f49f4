import type { Target } from './target.ts';

export const CONFLICT_RULES = ['insert-missing', 'restore-changed', 'replace', 'side-by-side'] as const;
export type ConflictRule = (typeof CONFLICT_RULES)[number];

/** What happens to rows that others have changed since the import that is taken back. */
export const UNDO_RULES = ['keep-changed', 'overwrite-changed'] as const;
export type UndoRule = (typeof UNDO_RULES)[number];

/** What a decision may choose: a conflict rule of an import, or a rule of an undo. */
export const PLAN_RULES = [...CONFLICT_RULES, ...UNDO_RULES] as const;
export type PlanRule = (typeof PLAN_RULES)[number];

/** What an import would do to one table, in rows. Orphans and clashes are left out of inserts, updates and deletes. */
export interface TableChange {
  /** `schema.table` in the form of model/table.ts */
  table: string;
  inserts: number;
  updates: number;
  deletes: number;
  /**
   * rows left alone for a foreign key: what they would refer to is neither there nor coming back, or, where they
   * would go or lose a referenced value, other rows still refer to them
   */
  orphans: number;
  /** rows left alone because another row holds one of their unique keys */
  uniqueClashes: number;
}

/** The exact effects of one rule, so that a person can choose among them. */
export interface RulePlan {
  conflict: PlanRule;
  /** one sentence, as {@link Plan.summary} */
  summary: string;
  changes: TableChange[];
  /** what is true under this rule only */
  notices: string[];
  /** why this rule cannot be chosen; null: it can */
  refusal: string | null;
}

/** Where clients are sent; addresses as `host:port`. */
export interface EndpointChange {
  name: string;
  /** null: nothing is set */
  from: string | null;
  to: string;
}

/** What a person approves. `digest` covers all of it, and the affected keys, not only their number. */
export interface Plan {
  digest: string;
  /** one sentence: `insert 25,000 rows into 2 tables of shop` */
  summary: string;
  /** null for both: nothing is restored, an import is taken back */
  backup: string | null;
  target: Target | null;
  /** where the restored copy really stopped, or which import is taken back, for people */
  position: string | null;
  /** the rule that an approval without one means; null where nothing is imported */
  conflict: PlanRule | null;
  estimateSeconds: number;
  /** of the plan's own rule */
  changes: TableChange[];
  /** of a switch of clients; left out: none is switched by this decision */
  endpoints?: EndpointChange[];
  /** every rule that the decision may name, the plan's own included; empty where there is nothing to choose */
  rules: RulePlan[];
  /** what a person has to know before saying yes, whatever the rule, and of the plan's own rule */
  notices: string[];
}

/** `25,000 rows`, `1 row`. */
export function countOf(amount: number, noun: string): string {
  return `${amount.toLocaleString('en-US')} ${noun}${amount === 1 ? '' : 's'}`;
}

/** `left` says what becomes of rows that are left alone. */
export function summarizeChanges(
  database: string,
  changes: readonly TableChange[],
  left = 'cannot come back',
): string {
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
  const alone = sum((change) => change.orphans + change.uniqueClashes);
  return `${what} of ${database}${alone === 0 ? '' : `; ${countOf(alone, 'row')} ${left}`}`;
}
