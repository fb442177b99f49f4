import { HoldfastError } from '../../../model/failure.ts';
import { nameOf, type TablePair } from './table-pair.ts';

/**
 * The tables, parents before children. Deferrable foreign keys do not count (the import defers them), nor does a
 * reference of a table to itself (one statement inserts all its rows). Throws NotSupported for any other cycle.
 */
export function insertOrder(pairs: readonly TablePair[]): TablePair[] {
  const counted = [() => true, (deferrable: boolean) => !deferrable];
  for (const counts of counted) {
    const { sorted, circle } = sortParentsFirst(pairs, counts);
    if (circle.length === 0) return sorted;
  }
  const names = pairs.map((pair) => pair.table).join(', ');
  throw new HoldfastError(
    'NotSupported',
    `among ${names}, tables refer to each other in a circle of foreign keys`,
    {
      hint: 'make one of these foreign keys deferrable (ALTER TABLE … ALTER CONSTRAINT … DEFERRABLE), then try again',
    },
  );
}

/** The tables, parents before children; those of a circle come last, as they were. */
export function parentsFirst(pairs: readonly TablePair[]): TablePair[] {
  const { sorted, circle } = sortParentsFirst(pairs, () => true);
  return [...sorted, ...circle];
}

function sortParentsFirst(
  pairs: readonly TablePair[],
  counts: (deferrable: boolean) => boolean,
): { sorted: TablePair[]; circle: TablePair[] } {
  const waiting = new Map(pairs.map((pair) => [nameOf(pair), pair]));
  const sorted: TablePair[] = [];
  for (;;) {
    const ready = [...waiting].find(([name, pair]) =>
      pair.production.foreignKeys.every(
        (key) => key.parent === name || !counts(key.deferrable) || !waiting.has(key.parent),
      ),
    );
    if (ready === undefined) return { sorted, circle: [...waiting.values()] };
    waiting.delete(ready[0]);
    sorted.push(ready[1]);
  }
}
