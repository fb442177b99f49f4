import type { AuditCalendar, AuditFinding, AuditReport, AuditSpan } from '../../model/audit.ts';
import { countOf } from '../../model/plan.ts';
import { fold, formatBytes, formatCount, formatParagraph, formatTime, style } from '../output.ts';
import {
  describeCounts,
  describeDistance,
  type Month,
  monthsOf,
  nameOf,
  needsRoom,
  troublesOf,
  verdictOf,
  worstFirst,
} from './calendar.ts';

/** What is not said of a trouble in a terminal is in the page. */
const MOST_LINES = 3;
/** Of more databases than these only those that something is wrong with are told at length. */
const MANY = 20;
const COLOURS = { critical: 'red', warning: 'yellow', info: 'cyan' } as const;
const MARKS = { kept: '=', archived: '~', broken: 'X' } as const;
const INDENT = '  ';

/** The audit for a terminal: what is wrong, the worst first; then a year of each database. `width` null: not folded. */
export function formatAudit(report: AuditReport, width: number | null): string {
  const { at, findings, calendars } = report;
  const verdict = verdictOf(report);
  return [
    style(['bold', verdict.isGood ? 'green' : 'red'], `${verdict.text}.`),
    style('dim', fold(describeLooked(report), width).join('\n')),
    ...(findings.length === 0 ? [] : ['', ...findings.map((finding) => formatFinding(finding, at, width))]),
    ...(calendars.length === 0 ? [] : ['', ...formatCalendars(report, width)]),
  ].join('\n');
}

function describeLooked({ at, repository, looked }: AuditReport): string {
  const seen = `${countOf(looked.versions, 'version')}, ${formatBytes(looked.bytes)}, ${countOf(looked.markers, 'delete marker')}`;
  return `Bucket ${repository.bucket} in ${repository.region}, as of ${formatTime(at)}: ${seen}; ${formatCount(looked.headed)} asked for lock and key.`;
}

const legend = (perMark: number): string =>
  `= kept   ~ kept, but a recovery has to thaw something first   X broken\na mark stands for ${countOf(perMark, 'day')}: the worst counts`;

function formatFinding(
  { severity, database, what, firstDay, hint }: AuditFinding,
  at: string,
  width: number | null,
) {
  const when = firstDay === null ? '' : ` from ${firstDay}, ${describeDistance(firstDay, at)}`;
  const head = `${style(COLOURS[severity], severity.toUpperCase())} ${style('bold', database ?? 'repository')}${when}`;
  return `${INDENT}${head}\n${formatParagraph(`${what}\nHINT: ${hint}`, '    ', width)}`;
}

function formatCalendars(report: AuditReport, width: number | null): string[] {
  const { calendars, at } = report;
  const cells = cellsPerMonth(width);
  const months = monthsOf(calendars[0] as AuditCalendar);
  const heads = months
    .map(({ month }) => nameOf(month).padEnd(cells))
    .join(' ')
    .trimEnd();
  const perMark = Math.ceil(31 / cells);
  return [
    style('dim', `${INDENT}${heads}`),
    ...worstFirst(calendars).map((calendar) =>
      [
        formatYear(calendar, at, cells),
        ...(needsRoom(calendar, report, MANY) ? [formatDetails(calendar, width)] : []),
      ].join('\n'),
    ),
    '',
    style('dim', formatParagraph(legend(perMark), INDENT, width)),
  ];
}

/** Twelve months and a part of another, one space apart. */
function cellsPerMonth(width: number | null): number {
  return Math.max(3, Math.min(8, Math.floor(((width ?? 100) - INDENT.length) / 13) - 1));
}

function formatYear(calendar: AuditCalendar, at: string, cells: number): string {
  const [first] = troublesOf(calendar);
  const state =
    first === undefined
      ? style('green', 'kept')
      : style('red', first.from <= at.slice(0, 10) ? 'broken now' : `broken from ${first.from}`);
  const strip = monthsOf(calendar)
    .map((month) => formatMonth(month, cells))
    .join(' ');
  return `\n${style('bold', calendar.database)}  ${state}\n${INDENT}${strip.trimEnd()}`;
}

function formatDetails(calendar: AuditCalendar, width: number | null): string {
  const [today] = calendar.spans;
  return [
    formatParagraph(`promised: ${calendar.promises.join('; ')}`, INDENT, width),
    ...(today === undefined ? [] : [formatParagraph(`today: ${describeToday(today)}`, INDENT, width)]),
    ...troublesOf(calendar).map(({ from, to, days, broken }) => {
      const left = broken.length - MOST_LINES;
      const lines = [...broken.slice(0, MOST_LINES), ...(left > 0 ? [`and ${left} more`] : [])];
      const when = from === to ? from : `${from} to ${to} (${days} days)`;
      return `${INDENT}${style('red', when)}\n${formatParagraph(lines.join('\n'), '    ', width)}`;
    }),
  ].join('\n');
}

function describeToday(span: AuditSpan): string {
  const { windowFrom } = span;
  const window = windowFrom === null ? '' : `every moment since ${formatTime(windowFrom, 'up')}; `;
  return `${window}${describeCounts(span)}`;
}

/** Days outside of the year are blanks: the first and the last month are parts. */
function formatMonth({ stretches }: Month, cells: number): string {
  const row = Array.from({ length: cells }, (_, cell) => {
    const [from, to] = [Math.floor((cell * 31) / cells) + 1, Math.floor(((cell + 1) * 31) / cells)];
    const states = stretches
      .filter((each) => each.from <= to && each.to >= from)
      .map(({ span }) => span.state);
    const worst = (['broken', 'archived', 'kept'] as const).find((state) => states.includes(state));
    return worst === undefined ? ' ' : MARKS[worst];
  }).join('');
  return row.replaceAll(/X+/g, (run) => style('red', run)).replaceAll(/~+/g, (run) => style('yellow', run));
}
