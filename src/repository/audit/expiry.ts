import { keptFulls } from '../../model/kept-by-tool.ts';
import type { Backup } from './backup.ts';
import { isBase, PLANNED, rootOf } from './backup.ts';
import type { AuditedPolicy } from './facts.ts';

type ToolPolicy = Pick<AuditedPolicy, 'retentionFull' | 'retentionArchive' | 'physicalMs' | 'windowMs'>;

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
 * and archived logs from before the start of the full that the archive is kept from. How many these are it is told
 * before each backup. A differential without a full becomes one.
 */
export function playTool(
  known: readonly Backup[],
  runs: { fulls: readonly number[]; diffs: readonly number[] },
  policy: ToolPolicy,
): ToolFuture {
  const bases = known.filter(isBase);
  const fulls = bases.filter(({ kind }) => kind === 'full').map((full) => ({ full, ...fieldsOf(full) }));
  const dependents = Map.groupBy(
    bases.filter(({ kind }) => kind === 'diff'),
    rootOf,
  );
  for (const each of fulls) {
    for (const diff of dependents.get(each.full) ?? [])
      each.promisedUntil = Math.max(each.promisedUntil, diff.promisedUntil);
  }
  fulls.sort((a, b) => a.full.startedAt - b.full.startedAt);
  const future: ToolFuture = { planned: [], expired: new Map(), cutoffs: [], differentials: new Map() };
  const isFull = new Set(runs.fulls);
  for (const at of [...new Set([...runs.fulls, ...runs.diffs])].sort((a, b) => a - b)) {
    const next = isFull.has(at) ? 'full' : 'diff';
    const kept = keptFulls(policy, { fulls, logMs: policy.windowMs ?? 0, next, now: at });
    const newest = next === 'full' ? undefined : fulls.at(-1);
    const made = plannedBase(at, newest?.full, policy);
    future.planned.push(made);
    if (newest === undefined) fulls.push({ full: made, ...fieldsOf(made) });
    else {
      newest.promisedUntil = Math.max(newest.promisedUntil, made.promisedUntil);
      append(dependents, newest.full, made);
      append(future.differentials, newest.full, made);
    }
    for (const { full } of fulls.splice(0, Math.max(0, fulls.length - kept.retentionFull))) {
      for (const each of [full, ...(dependents.get(full) ?? [])]) future.expired.set(each, at);
    }
    const from = fulls.at(-kept.retentionArchive)?.full.startedAt;
    if (from !== undefined && from > (future.cutoffs.at(-1)?.from ?? Number.NEGATIVE_INFINITY))
      future.cutoffs.push({ at, from });
  }
  return future;
}

/** What counts for how many are kept: the promise of a full is the longest of those that depend on it, too. */
const fieldsOf = ({ finishedAt, promisedUntil }: Backup) => ({ finishedAt, promisedUntil });

function append(lists: Map<Backup, Backup[]>, full: Backup, diff: Backup): void {
  const list = lists.get(full);
  if (list === undefined) lists.set(full, [diff]);
  else list.push(diff);
}

function plannedBase(at: number, full: Backup | undefined, { physicalMs }: ToolPolicy): Backup {
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
