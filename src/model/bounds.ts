/** How far two counts may be apart before nobody can say that they belong together: the larger of the two counts. */
export interface Bounds {
  percent: number;
  rows: number;
}

export const DEFAULT_BOUNDS: Bounds = { percent: 10, rows: 1_000 };

/** Whether a count lies between two others, or not further beyond them than the bounds allow. */
export function isWithin(count: number, [one, other]: [number, number], { percent, rows }: Bounds): boolean {
  const slack = Math.max(rows, (Math.max(one, other) * percent) / 100);
  return count >= Math.min(one, other) - slack && count <= Math.max(one, other) + slack;
}

export const describeBounds = ({ percent, rows }: Bounds): string => `${percent} % or ${rows} rows`;
