import type { AuditCalendar, AuditReport, AuditSpan } from '../../model/audit.ts';
import { countOf } from '../../model/plan.ts';

const DAY_MS = 86_400_000;

export interface Month {
  /** `2026-12` */
  month: string;
  /** what is seen of it; the first and last months of a year are parts */
  stretches: { span: AuditSpan; from: number; to: number }[];
}

/** The spans cut at the ends of months, with days of the month. */
export function monthsOf({ spans }: AuditCalendar): Month[] {
  const months: Month[] = [];
  for (const span of spans) {
    for (let day = span.from; day <= span.to; day = nextMonth(day)) {
      const month = day.slice(0, 7);
      const last = months.at(-1);
      const to = span.to.slice(0, 7) === month ? Number(span.to.slice(8)) : daysIn(month);
      const stretch = { span, from: Number(day.slice(8)), to };
      if (last?.month === month) last.stretches.push(stretch);
      else months.push({ month, stretches: [stretch] });
    }
  }
  return months;
}

export function daysIn(month: string): number {
  const [year, number] = month.split('-').map(Number);
  return new Date(Date.UTC(year as number, number as number, 0)).getUTCDate();
}

function nextMonth(day: string): string {
  const [year, month] = day.split('-').map(Number);
  return new Date(Date.UTC(year as number, month as number, 1)).toISOString().slice(0, 10);
}

/** `Dec`, of `2026-12`. */
export function nameOf(month: string, style: 'short' | 'long' = 'short'): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString('en-US', { month: style, timeZone: 'UTC' });
}

export const lengthOf = (from: string, to: string): number =>
  Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;

/** Broken days in a row, and all that is wrong on them. */
export interface Trouble {
  from: string;
  to: string;
  days: number;
  broken: string[];
}

export function troublesOf({ spans }: AuditCalendar): Trouble[] {
  const runs: AuditSpan[][] = [];
  let before: AuditSpan | null = null;
  for (const span of spans) {
    if (span.state === 'broken') {
      if (before?.state === 'broken') runs.at(-1)?.push(span);
      else runs.push([span]);
    }
    before = span;
  }
  return runs.map((run) => {
    const [from, to] = [run[0]?.from ?? '', run.at(-1)?.to ?? ''];
    return { from, to, days: lengthOf(from, to), broken: worstLines(run.flatMap(({ broken }) => broken)) };
  });
}

/** Of lines that differ in their numbers alone the one with the largest: `2 differentials …`, `24 differentials …`. */
function worstLines(lines: string[]): string[] {
  const worst = new Map<string, string>();
  for (const line of lines) {
    const key = line.replaceAll(/[\d,]+|s\b/g, '');
    const known = worst.get(key);
    if (known === undefined || amountIn(line) > amountIn(known)) worst.set(key, line);
  }
  return [...worst.values()];
}

const amountIn = (line: string): number => Number(/[\d,]+/.exec(line)?.[0].replaceAll(',', '') ?? 0);

/** The calendars by the first day on which something is wrong. */
export function worstFirst(calendars: readonly AuditCalendar[]): AuditCalendar[] {
  const firstOf = (calendar: AuditCalendar) => troublesOf(calendar)[0]?.from ?? '9999';
  return calendars.toSorted((a, b) => firstOf(a).localeCompare(firstOf(b)));
}

/** What can be restored today, and on the worst day of the year. */
export interface Holding {
  what: string;
  today: number;
  least: { amount: number; day: string };
}

const HELD = ['fulls', 'differentials', 'logicals', 'snapshots'] as const;

export function holdingsOf({ spans }: AuditCalendar): Holding[] {
  const [today] = spans;
  if (today === undefined) return [];
  return HELD.flatMap((what) => {
    const worst = spans.reduce((least, span) => (span[what] < least[what] ? span : least), today);
    const isUsed = spans.some((span) => span[what] > 0);
    return isUsed ? [{ what, today: today[what], least: { amount: worst[what], day: worst.from } }] : [];
  });
}

/** `14 fulls, 80 differentials`. */
export function describeCounts(span: AuditSpan): string {
  const parts = HELD.flatMap((what) => (span[what] > 0 ? [countOf(span[what], what.slice(0, -1))] : []));
  return parts.length === 0 ? 'no backup' : parts.join(', ');
}

/** Whether more than a line is said of a database: of all where they are few, else of those that something is wrong with. */
export function needsRoom(
  calendar: AuditCalendar,
  { calendars, findings }: AuditReport,
  many: number,
): boolean {
  return (
    calendars.length <= many ||
    troublesOf(calendar).length > 0 ||
    findings.some(({ severity, database }) => severity !== 'info' && database === calendar.database)
  );
}

/** How it stands with everything, in one sentence without its full stop. */
export function verdictOf({ findings, calendars, at }: AuditReport): { isGood: boolean; text: string } {
  const critical = findings.filter(({ severity }) => severity === 'critical').length;
  const last = calendars[0]?.spans.at(-1)?.to;
  const until = last === undefined ? '' : `, every day until ${last}`;
  const broken = worstFirst(calendars).filter((calendar) => troublesOf(calendar).length > 0);
  const [first] = broken;
  if (first === undefined) {
    const isGood = critical === 0;
    const text = `Everything that is promised can be restored${until}`;
    return { isGood, text: isGood ? text : `${text}; but ${countOf(critical, 'critical finding')}` };
  }
  const day = troublesOf(first)[0]?.from ?? '';
  const when = day <= at.slice(0, 10) ? 'today already' : `from ${day} on`;
  if (calendars.length === 1) {
    return {
      isGood: false,
      text: `Not everything that is promised of ${first.database} can be restored, ${when}`,
    };
  }
  return {
    isGood: false,
    text: `Not everything that is promised can be restored: ${broken.length} of ${countOf(calendars.length, 'database')}, the first ${when}`,
  };
}

/** `in 27 days`, counted from the day of the audit. */
export function describeDistance(day: string, at: string): string {
  const days = lengthOf(at.slice(0, 10), day) - 1;
  if (days <= 0) return 'today';
  return days === 1 ? 'tomorrow' : `in ${days} days`;
}
