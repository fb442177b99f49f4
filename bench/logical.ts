import { backUp } from './backup.ts';
import { LoadWatch, type Row, rowOfPairs, timed } from './measure.ts';
import { type BenchStack, PLAIN } from './stack.ts';

/** What differs by engine. */
export interface LogicalCase {
  /** of the first row; the second has `-fingerprints` behind it */
  name: string;
  what: string;
  against: string;
  byHand(key: string): Promise<void>;
  /** before each run */
  settle(): Promise<void>;
}

/** Logical backups without and with fingerprints, in turn with the same dump by hand. */
export async function benchLogical(
  stack: BenchStack,
  one: LogicalCase,
  { pairs, say }: { pairs: number; say: (line: string) => void },
): Promise<Row[]> {
  const load = new LoadWatch();
  const times = { theirs: [] as number[], plain: [] as number[], shop: [] as number[] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    await one.settle();
    times.theirs.push(await timed(() => one.byHand(`by-hand/${pair}/shop.dump`)));
    load.look();
    for (const database of [PLAIN, 'shop'] as const) {
      await one.settle();
      const what = `logical backup ${database === PLAIN ? 'without' : 'with'} fingerprints`;
      times[database].push(await timed(() => stack.memory.during(what, () => backUp(stack, database))));
      load.look();
    }
    const last = (list: number[]) => `${list.at(-1)?.toFixed(1)} s`;
    say(
      `${one.name} ${pair}/${pairs}: by hand ${last(times.theirs)}, without fingerprints ${last(times.plain)}, with ${last(times.shop)}`,
    );
  }
  const row = (name: string, what: string, ours: number[], atMost: number) =>
    rowOfPairs(
      { name, what: `${one.what} ${what}`, against: one.against, atMost, load: load.highest },
      'ratio',
      ours,
      times.theirs,
    );
  return [
    row(one.name, 'with KMS and lock, without fingerprints', times.plain, 0.75),
    row(`${one.name}-fingerprints`, 'with KMS and lock, with fingerprints', times.shop, 1.0),
  ];
}
