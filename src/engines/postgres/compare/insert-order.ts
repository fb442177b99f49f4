import { HoldfastError } from '../../../model/failure.ts';
import type { TablePair } from './table-pair.ts';

/**
 * The tables, parents before children. Deferrable foreign keys do not count (the import defers them), nor does a
 * reference of a table to itself (one statement inserts all its rows). Throws NotSupported for any other cycle.
 */
export function insertOrder(pairs: readonly TablePair[]): TablePair[] {
  const strict = sortParentsFirst(pairs, () => true);
  if (strict !== null) return strict;
  const deferred = sortParentsFirst(pairs, (deferrable) => !deferrable);
  if (deferred !== null) return deferred;
  const names = pairs.map((pair) => pair.table).join(', ');
  throw new HoldfastError(
    'NotSupported',
    `among ${names}, tables refer to each other in a circle of foreign keys`,
    {
      hint: 'make one of these foreign keys deferrable (ALTER TABLE … ALTER CONSTRAINT … DEFERRABLE), then try again',
    },
  );
}

function sortParentsFirst(
  pairs: readonly TablePair[],
  counts: (deferrable: boolean) => boolean,
): TablePair[] | null {
  const waiting = new Map(pairs.map((pair) => [pair.production.oid, pair]));
  const sorted: TablePair[] = [];
  while (waiting.size > 0) {
    const ready = [...waiting.values()].find((pair) =>
      pair.production.foreignKeys.every(
        (key) =>
          key.parentOid === pair.production.oid || !counts(key.deferrable) || !waiting.has(key.parentOid),
      ),
    );
    if (ready === undefined) return null;
    waiting.delete(ready.production.oid);
    sorted.push(ready);
  }
  return sorted;
}
