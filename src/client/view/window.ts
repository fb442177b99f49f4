import type { Catalog, CatalogBackup } from '../../model/backup.ts';
import { formatTime, style } from '../output.ts';

const LABEL_WIDTH = 10;

/**
 * A picture of the recovery window on one axis of time, from the oldest backup to now: `F` and `d` are physical
 * bases, `L` and `S` logical backups and snapshots, `=` is where we can recover to any moment, `|` a single
 * point, `x` a gap in the logs. Plain ASCII, so that it reads the same on every console. Empty without backups.
 */
export function formatWindow(catalog: Catalog, now: Date, width: number): string {
  const times = [
    ...catalog.backups.map((backup) => Date.parse(backup.finishedAt)),
    ...catalog.intervals.map((interval) => Date.parse(interval.from)),
  ];
  if (times.length === 0) return '';
  const from = Math.min(...times);
  const to = Math.max(now.getTime(), from + 1_000);
  const cells = Math.max(20, Math.min(width, 120) - LABEL_WIDTH - 2);
  const cellOf = (time: number) =>
    Math.max(0, Math.min(cells - 1, Math.floor(((time - from) / (to - from)) * cells)));

  const lines = [];
  for (const [label, tier] of [
    ['physical', 'physical'],
    ['logical', 'logical'],
    ['snapshot', 'snapshot'],
  ] as const) {
    const backups = catalog.backups.filter((backup) => backup.tier === tier);
    if (backups.length > 0) lines.push(lineOf(label, markBackups(backups, cells, cellOf)));
  }
  lines.push(lineOf('recover', markIntervals(catalog, cells, cellOf)));
  const left = formatTime(new Date(from));
  const right = `now ${formatTime(now)}`;
  lines.push(style('dim', lineOf('', left + right.padStart(Math.max(1, cells - left.length) + 0))));
  return lines.join('\n');
}

function lineOf(label: string, marks: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)}${marks}`.trimEnd();
}

const MARK_OF: Record<CatalogBackup['tier'], string> = { physical: 'F', logical: 'L', snapshot: 'S' };

function markBackups(backups: CatalogBackup[], cells: number, cellOf: (time: number) => number): string {
  const row = new Array<string>(cells).fill(' ');
  for (const backup of backups) {
    const cell = cellOf(Date.parse(backup.finishedAt));
    const mark = backup.kind === 'diff' ? 'd' : MARK_OF[backup.tier];
    // A full is worth more than the differentials that share its cell.
    if (row[cell] === ' ' || row[cell] === 'd') row[cell] = mark;
  }
  return row.join('');
}

function markIntervals(catalog: Catalog, cells: number, cellOf: (time: number) => number): string {
  const row = new Array<string>(cells).fill('.');
  for (const { from, to } of catalog.intervals) {
    if (from === to) {
      const cell = cellOf(Date.parse(from));
      if (row[cell] === '.') row[cell] = '|';
      continue;
    }
    for (let cell = cellOf(Date.parse(from)); cell <= cellOf(Date.parse(to)); cell += 1) row[cell] = '=';
  }
  // Last, so that a gap of a minute shows in a window of months.
  for (const gap of catalog.gaps) {
    if (gap.after === null) continue;
    const first = cellOf(Date.parse(gap.after));
    const last = gap.before === null ? first : cellOf(Date.parse(gap.before));
    for (let cell = first; cell <= last; cell += 1) row[cell] = 'x';
  }
  return row.join('');
}
