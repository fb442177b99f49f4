import type { Row } from '../connection.ts';
import { compareKeys, isOrderable, type KeyOrder } from './key-order.ts';

/** Progress is told once in so many rows. */
const ROWS_PER_WORD = 10_000;

/** A row that differs, as the side has it that still has it: the key, and behind it the hash. */
export interface Difference {
  /** 1 missing, 2 changed, 3 extra */
  kind: 1 | 2 | 3;
  row: Row;
  /** its hash in production; null: it is missing there */
  was: Buffer | null;
}

/**
 * Merges two streams of rows in the order of their keys: the key's columns, and the row's hash. Both are read to their
 * ends. Once a stream is seen not to be in that order after all, or to have a key whose place in it is not known,
 * `onDisorder` is called and nothing more comes: what came before means nothing, but has no key twice. `onRows` hears now
 * and then how many of production's rows have been read.
 */
export async function* mergeDifferences(
  restoredRows: AsyncIterable<Row>,
  productionRows: AsyncIterable<Row>,
  orders: readonly KeyOrder[],
  { onDisorder, onRows }: { onDisorder: () => void; onRows: (rows: number) => void },
): AsyncGenerator<Difference, void, void> {
  const width = orders.length;
  const hashOf = (row: Row | null) => row?.[width] ?? null;
  const restored = restoredRows[Symbol.asyncIterator]();
  const production = productionRows[Symbol.asyncIterator]();
  let isOrdered = true;
  // Not a function that waits: for each of millions of rows that would be one promise more.
  const take = ({ done, value }: IteratorResult<Row>, last: Row | null): Row | null => {
    if (done) return null;
    if (!isOrderable(orders, value)) isOrdered = false;
    else if (last !== null && compareKeys(orders, last, value) >= 0) isOrdered = false;
    return value;
  };
  let read = 0;
  try {
    // The copy's first: it may have to sort, and production must not wait with rows that it wants to send.
    let copy = take(await restored.next(), null);
    let live = take(await production.next(), null);
    while (isOrdered && (copy !== null || live !== null)) {
      const order = copy === null ? 1 : live === null ? -1 : compareKeys(orders, copy, live);
      if (order < 0) yield { kind: 1, row: copy as Row, was: null };
      else if (order > 0) yield { kind: 3, row: live as Row, was: hashOf(live) };
      else if (!isSame(hashOf(copy), hashOf(live))) yield { kind: 2, row: copy as Row, was: hashOf(live) };
      if (order <= 0) copy = take(await restored.next(), copy);
      if (order < 0) continue;
      live = take(await production.next(), live);
      read += 1;
      if (read % ROWS_PER_WORD === 0) onRows(read);
    }
    onRows(read);
    if (isOrdered) return;
    onDisorder();
    // A stream that is left early takes its session along.
    for (const rest of [production, restored]) while ((await rest.next()).done !== true);
  } finally {
    await Promise.all([restored.return?.(), production.return?.()]);
  }
}

/** A row that the server could not hash is never taken for equal. */
function isSame(one: Buffer | null, other: Buffer | null): boolean {
  return one !== null && other !== null && one.equals(other);
}
