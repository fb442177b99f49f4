import type { LogGap } from '../../model/backup.ts';
import type { GapsOfDatabase } from '../gaps.ts';
import { formatParagraph, formatTime, style } from '../output.ts';

/** `holdfast gap list`: of every database that has any. */
export function formatGaps(found: readonly GapsOfDatabase[], width: number | null): string {
  const parts = found
    .filter(({ gaps }) => gaps.length > 0)
    .map(({ database, gaps }) =>
      [style('bold', database), ...gaps.map((gap) => formatGap(gap, width))].join('\n'),
    );
  return parts.length === 0 ? 'no log is missing' : parts.join('\n\n');
}

/** One gap, in a paragraph: how much, when, which logs, and what makes it bearable. */
export function formatGap(gap: LogGap, width: number | null): string {
  const { count, after, before, firstMissing, lastMissing, timeline } = gap;
  const between =
    after === null || before === null ? '' : `, between ${formatTime(after)} and ${formatTime(before, 'up')}`;
  const logs = count === 1 ? firstMissing : `${firstMissing} to ${lastMissing}`;
  const what = count === 0 ? 'transactions missing' : `${count} missing`;
  const where = count === 0 ? `right before ${firstMissing}` : logs;
  const text = `${what}${between}: ${where}${formatTimeline(firstMissing, timeline)}${formatKnown(gap)}`;
  return formatParagraph(text, '  ', width);
}

/** Of a log with a dot in its name, as MySQL's have, the number stands for its server and says nothing to people. */
const formatTimeline = (log: string, timeline: number): string =>
  log.includes('.') ? '' : `, timeline ${timeline}`;

/** A base behind it, and somebody who knows. */
function formatKnown({ baseAfter, acknowledged }: LogGap): string {
  const base = baseAfter == null ? '' : `; recoverable again from ${baseAfter} on`;
  if (acknowledged === undefined) return base;
  const { by, at, reason } = acknowledged;
  return `${base}; acknowledged by ${by}, ${formatTime(at)}: ${reason}`;
}
