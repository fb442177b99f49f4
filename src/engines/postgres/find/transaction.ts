import type { RowChange } from './record.ts';

/** A file that a transaction made. */
export interface Made {
  node: string;
  /** its place in the order of the records */
  at: number;
  /** pages were written into it as they were */
  copied: boolean;
}

/** What one transaction, or one subtransaction, has done so far. */
export interface Transaction {
  /** by file: the rows changed in it */
  rows: Map<string, Record<RowChange, number>>;
  /** in order */
  creates: Made[];
  /** oids locked exclusively, and when and where in the log */
  locks: Map<string, { at: number; lsn: string }>;
}

export function begin(): Transaction {
  return { rows: new Map(), creates: [], locks: new Map() };
}

export function countRow({ rows }: Transaction, node: string, change: RowChange, count = 1): void {
  const known = rows.get(node) ?? { deleted: 0, updated: 0, inserted: 0 };
  known[change] += count;
  rows.set(node, known);
}

/** A transaction and its subtransactions as one. */
export function merge(parts: readonly Transaction[]): Transaction {
  const merged = begin();
  for (const { rows, creates, locks } of parts) {
    for (const [node, changes] of rows) {
      for (const change of ['deleted', 'updated', 'inserted'] as const)
        countRow(merged, node, change, changes[change]);
    }
    merged.creates.push(...creates);
    for (const [oid, lock] of locks) {
      if (lock.at < (merged.locks.get(oid)?.at ?? Number.POSITIVE_INFINITY)) merged.locks.set(oid, lock);
    }
  }
  merged.creates.sort((a, b) => a.at - b.at);
  return merged;
}

/** VACUUM FULL, CLUSTER and ALTER TABLE fill a copy that has an oid of its own; SET TABLESPACE copies pages. */
export function isRewrite(made: Made, { locks }: Transaction): boolean {
  return made.copied || locks.has(fileOf(made.node));
}

export const dbOf = (node: string): string => node.split('/')[1] ?? '';
export const fileOf = (node: string): string => node.split('/')[2] ?? '';
