import type { Backup } from './backup.ts';
import { isBase, PLANNED, rootOf } from './backup.ts';
import type { AuditedPolicy } from './facts.ts';

/** What the tool will make and expire. */
export interface ToolFuture {
  planned: Backup[];
  expired: Map<Backup, number>;
  /** from `at` on the archive begins with the start of a full, `from`; in order */
  cutoffs: { at: number; from: number }[];
  /** when each full gets a differential that needs it, in order */
  differentials: Map<Backup, Backup[]>;
}

/**
 * The tool's own expiry, which acts at the end of every backup: fulls beyond the newest ones go with their differentials,
 * and archived logs from before the start of the full that the archive is kept from. A differential without a full
 * becomes one.
 */
export function playTool(
  known: readonly Backup[],
  runs: { fulls: readonly number[]; diffs: readonly number[] },
  policy: Pick<AuditedPolicy, 'retentionFull' | 'retentionArchive' | 'physicalMs'>,
): ToolFuture {
  const bases = known.filter(isBase);
  const fulls = bases.filter(({ kind }) => kind === 'full').sort((a, b) => a.startedAt - b.startedAt);
  const dependents = Map.groupBy(
    bases.filter(({ kind }) => kind === 'diff'),
    rootOf,
  );
  const future: ToolFuture = { planned: [], expired: new Map(), cutoffs: [], differentials: new Map() };
  const isFull = new Set(runs.fulls);
  for (const at of [...new Set([...runs.fulls, ...runs.diffs])].sort((a, b) => a - b)) {
    const full = isFull.has(at) ? undefined : fulls.at(-1);
    const made = plannedBase(at, full, policy);
    future.planned.push(made);
    if (full === undefined) fulls.push(made);
    else {
      append(dependents, full, made);
      append(future.differentials, full, made);
    }
    for (const gone of fulls.splice(0, Math.max(0, fulls.length - policy.retentionFull))) {
      for (const each of [gone, ...(dependents.get(gone) ?? [])]) future.expired.set(each, at);
    }
    const from = fulls.at(-policy.retentionArchive)?.startedAt;
    if (from !== undefined && from !== future.cutoffs.at(-1)?.from) future.cutoffs.push({ at, from });
  }
  return future;
}

function append(lists: Map<Backup, Backup[]>, full: Backup, diff: Backup): void {
  const list = lists.get(full);
  if (list === undefined) lists.set(full, [diff]);
  else list.push(diff);
}

function plannedBase(
  at: number,
  full: Backup | undefined,
  { physicalMs }: Pick<AuditedPolicy, 'physicalMs'>,
): Backup {
  return {
    id: PLANNED,
    kind: full === undefined ? 'full' : 'diff',
    startedAt: at,
    finishedAt: at,
    promisedUntil: at + physicalMs,
    needs: full === undefined ? [] : [full],
    lacks: [],
    node: null,
  };
}
