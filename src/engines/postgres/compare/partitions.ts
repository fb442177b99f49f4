import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { refuseAll } from './refusals.ts';
import type { TablePair } from './table-pair.ts';

/** A row that no partition takes any more cannot come back: that is said before anybody approves it. */
export async function refuseUnplaced(restored: pg.Client, pairs: readonly TablePair[]): Promise<void> {
  for (const pair of pairs) {
    if (pair.gone || !pair.production.partitioned) continue;
    const now = new Set(pair.production.leaves.map(conditionOf));
    const lost = pair.restored.leaves.filter((leaf) => !now.has(conditionOf(leaf)));
    if (!pair.restored.partitioned || lost.length === 0 || !(await hasUnplaced(restored, pair))) continue;
    const names = new Set(pair.production.leaves.map((leaf) => leaf.name));
    const dropped = lost.filter((leaf) => !names.has(leaf.name)).map((leaf) => leaf.name);
    const refusal = new HoldfastError(
      'NotSupported',
      `${pair.table} has no partition any more for some rows of the restored copy${
        dropped.length === 0 ? '' : `: ${dropped.join(', ')} of then is gone`
      }`,
      { hint: 'make such a partition again, empty, and try again, or choose side-by-side' },
    );
    pair.refusals = { ...pair.refusals, ...refuseAll(refusal) };
  }
}

async function hasUnplaced(restored: pg.Client, pair: TablePair): Promise<boolean> {
  // A partition without a condition takes every row: the default one, where it is the only one.
  const taken = pair.production.leaves
    .map(conditionOf)
    .map((condition) => (condition === null ? 'true' : `(${condition}) IS NOT FALSE`));
  const { rows } = await restored.query<{ unplaced: boolean }>(
    `SELECT EXISTS (SELECT FROM ${pair.restored.source} AS t WHERE NOT (${['false', ...taken].join(' OR ')})) AS unplaced`,
  );
  return rows[0]?.unplaced === true;
}

/** That of a hash partition names its table by number, which another server does not know: together they take every row. */
function conditionOf({ condition }: { condition: string | null }): string | null {
  return (
    condition?.replace(/satisfies_hash_partition\('\d+'::oid, /g, '0 < pg_catalog.num_nonnulls(0, ') ?? null
  );
}
