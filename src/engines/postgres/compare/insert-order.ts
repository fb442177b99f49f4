import { nameOf, type TablePair } from './table-pair.ts';

/** The tables, parents before children. A circle of foreign keys is entered at the first of its tables. */
export function parentsFirst(pairs: readonly TablePair[]): TablePair[] {
  const waiting = new Map(pairs.map((pair) => [nameOf(pair), pair]));
  const sorted: TablePair[] = [];
  for (let [first] = waiting; first !== undefined; [first] = waiting) {
    const ready = [...waiting].find(([name, pair]) =>
      pair.production.foreignKeys.every((key) => key.parent === name || !waiting.has(key.parent)),
    );
    const [name, pair] = ready ?? first;
    waiting.delete(name);
    sorted.push(pair);
  }
  return sorted;
}
