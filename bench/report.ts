import Table from 'cli-table3';
import { type Row, type Spread, spreadOf } from './measure.ts';
import type { WorkerMemory } from './memory.ts';

const MEMORY_AT_MOST_MIB = 256;

/** The most memory of the worker over everything that it did, beside these; none where it did nothing. */
export function memoryRows(name: string, memory: WorkerMemory, beside: readonly Row[]): Row[] {
  const all = [...memory.peaks.values()].flat();
  if (all.length === 0) return [];
  const value = spreadOf(all);
  const load = Math.max(...beside.map((row) => row.load));
  return [
    {
      ...{ name, what: 'peak memory of the worker above idle', against: '', unit: 'MiB', value },
      ...{
        atMost: MEMORY_AT_MOST_MIB,
        missed: value.max > MEMORY_AT_MOST_MIB,
        ours: null,
        theirs: null,
        load,
      },
      steps: {
        'MiB above idle, highest': Object.fromEntries(
          [...memory.peaks].map(([what, peaks]) => [what, Math.max(...peaks)]),
        ),
      },
    },
  ];
}

/** The table for people. Of memory the highest counts, of all else the median. */
export function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['what', 'against', 'at most', 'measured', 'spread', 'ours', 'theirs', 'load', ''],
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [34, 28, null, null, null, null, null, null, null],
  });
  for (const row of rows) {
    const { unit, value } = row;
    table.push([
      ...[row.what, row.against, row.atMost === null ? '' : format(row.atMost, unit)],
      format(unit === 'MiB' ? value.max : value.median, unit),
      `${format(value.min, unit)} … ${format(value.max, unit)}`,
      ...[seconds(row.ours), seconds(row.theirs), row.load.toFixed(1)],
      row.atMost === null ? '' : row.missed ? 'MISSED' : 'met',
    ]);
  }
  const steps = rows.flatMap((row) =>
    Object.entries(row.steps).map(
      ([side, taken]) =>
        `${row.name}, ${side}: ${Object.entries(taken)
          .map(([name, amount]) => `${name} ${amount.toFixed(1)}`)
          .join(', ')}`,
    ),
  );
  return [table.toString(), ...steps].join('\n');
}

function format(value: number, unit: Row['unit']): string {
  if (unit === 'MiB') return `${value.toFixed(0)} MiB`;
  if (unit === 'elapsed') return `${value.toFixed(1)} s`;
  return unit === 'ratio' ? value.toFixed(2) : `+ ${value.toFixed(1)} s`;
}

function seconds(spread: Spread | null): string {
  if (spread === null) return '';
  return `${spread.median.toFixed(1)} s`;
}
