import { styleText } from 'node:util';
import Table from 'cli-table3';
import { formatDuration } from '../model/duration.ts';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** Colours only where stdout is a terminal and NO_COLOR is not set. */
export function style(name: Style | readonly Style[], text: string): string {
  return text === '' ? '' : styleText(name as Style, text, { stream: process.stdout, validateStream: true });
}

/** Columns of the terminal; null where the output is a file or a pipe, which is never cut or folded. */
export function terminalWidth(): number | null {
  return process.stdout.isTTY ? Math.max(60, process.stdout.columns ?? 80) : null;
}

export interface Column {
  head: string;
  align?: 'left' | 'right';
}

/**
 * Rows in aligned columns, two spaces apart, without borders. Where `width` (columns of the terminal) is too
 * small, the last column is folded; nothing is ever cut off.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { indent?: string; width?: number | null; head?: boolean } = {},
): string {
  if (rows.length === 0) return '';
  const { indent = '', width = null, head = true } = options;
  const heads = columns.map((column) => style('dim', column.head));
  const all = head ? [heads, ...rows] : rows;
  const folded = width === null ? all : all.map((row) => foldLast(row, all, width - indent.length));
  const table = new Table({
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true },
    colAligns: columns.map((column) => column.align ?? 'left'),
  });
  table.push(...folded.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => (indent + line).trimEnd())
    .join('\n');
}

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((part) => [part, '']),
);

/** At least this many columns are left to a folded text: below that, long lines read better than a ribbon. */
const NARROWEST = 24;

function foldLast(
  row: readonly string[],
  all: readonly (readonly string[])[],
  width: number,
): readonly string[] {
  const last = row.length - 1;
  let before = 0;
  for (let index = 0; index < last; index += 1) {
    before += Math.max(...all.map((other) => plainLength(other[index] ?? ''))) + 2;
  }
  return [...row.slice(0, last), fold(row[last] ?? '', Math.max(NARROWEST, width - before)).join('\n')];
}

/** Text in lines of at most `width` columns, broken at spaces; a longer word stands alone on its line, whole. */
export function fold(text: string, width: number | null): string[] {
  if (width === null) return text.split('\n');
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && plainLength(line) + 1 + plainLength(word) > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    return [...lines, line];
  });
}

/** Text below a heading: every line indented, folded where the terminal is narrow. */
export function formatParagraph(text: string, indent: string, width: number | null): string {
  return fold(text, width === null ? null : Math.max(NARROWEST, width - indent.length))
    .map((line) => (indent + line).trimEnd())
    .join('\n');
}

/** Columns of the widest line of a text. */
export function plainWidth(text: string): number {
  return Math.max(...text.split('\n').map(plainLength));
}

function plainLength(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  return [...text.replaceAll(/\u001b\[\d+m/g, '')].length;
}

/** `20,000`. */
export function formatCount(amount: number): string {
  return Math.round(amount).toLocaleString('en-US');
}

const BYTE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `999 B`, `1.5 MiB`, `12 GiB`: two digits are enough to decide, and units of 1,024 are what disks report. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit = -1;
  do {
    value /= 1_024;
    unit += 1;
  } while (value >= 1_023.5 && unit < BYTE_UNITS.length - 1);
  return `${value < 9.95 ? value.toFixed(1) : formatCount(value)} ${BYTE_UNITS[unit]}`;
}

/**
 * A time as people read it and as a target takes it: `2026-01-31T14:05:00Z`, always UTC. Cut to whole seconds,
 * so that it is never later than the moment it stands for; with `up` never earlier.
 */
export function formatTime(time: string | Date, round: 'down' | 'up' = 'down'): string {
  const milliseconds = new Date(time).getTime();
  if (Number.isNaN(milliseconds)) return String(time);
  const seconds = round === 'up' ? Math.ceil(milliseconds / 1_000) : Math.floor(milliseconds / 1_000);
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}Z`;
}

/** `12m ago`, `just now`, `in 3h`. */
export function formatAge(time: string | Date, now: Date): string {
  const age = now.getTime() - new Date(time).getTime();
  if (Math.abs(age) < 1_000) return 'just now';
  const span = formatDuration(Math.floor(Math.abs(age) / 1_000) * 1_000);
  return age < 0 ? `in ${span}` : `${span} ago`;
}

/** An argument as a shell reads it back: quoted only where it has to be. */
export function shellQuote(argument: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
