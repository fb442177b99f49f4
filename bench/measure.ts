import { loadavg } from 'node:os';

/** Middle and ends of what was measured. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** One line of the table. */
export interface Row {
  name: string;
  what: string;
  against: string;
  /** `ratio`: ours divided by theirs, of the pairs; `seconds`: ours less theirs; `MiB` and `elapsed` seconds: ours alone */
  unit: 'ratio' | 'seconds' | 'MiB' | 'elapsed';
  value: Spread;
  /** null: it is measured, and no more */
  atMost: number | null;
  missed: boolean;
  /** seconds of each side, where both have a time */
  ours: Spread | null;
  theirs: Spread | null;
  /** of one minute, the highest that was seen beside the runs */
  load: number;
  /** seconds of the steps within, medians */
  steps: Record<string, Record<string, number>>;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** A row of two sides that ran in turn: the ratio or the difference is taken within each pair. */
export function rowOfPairs(
  row: Pick<Row, 'name' | 'what' | 'against' | 'atMost' | 'load'> & Partial<Pick<Row, 'steps'>>,
  unit: 'ratio' | 'seconds',
  ours: readonly number[],
  theirs: readonly number[],
): Row {
  const values = ours.map((seconds, pair) => {
    const other = theirs[pair] ?? Number.NaN;
    return unit === 'ratio' ? seconds / other : seconds - other;
  });
  const value = spreadOf(values);
  return {
    ...{ steps: {}, ...row, unit, value },
    missed: row.atMost !== null && !(value.median <= row.atMost),
    ours: spreadOf(ours),
    theirs: spreadOf(theirs),
  };
}

/** Seconds that the work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1_000;
}

/** Medians by name of what several runs of the same steps took. */
export function medianSteps(runs: readonly Record<string, number>[]): Record<string, number> {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(
    names.map((name) => [name, spreadOf(runs.flatMap((run) => run[name] ?? [])).median]),
  );
}

export class LoadWatch {
  #highest = 0;

  look(): void {
    this.#highest = Math.max(this.#highest, loadavg()[0] ?? 0);
  }

  get highest(): number {
    return this.#highest;
  }
}
