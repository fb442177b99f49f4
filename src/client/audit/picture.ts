import type { AuditCalendar, AuditSpan } from '../../model/audit.ts';
import { type Html, html } from '../report/html.ts';
import { daysIn, describeCounts, lengthOf, type Month, monthsOf, nameOf, troublesOf } from './calendar.ts';

const CELL = 22;
const GAP = 2;
const SIZE = CELL - GAP;
const HEAD = 32;
/** Where the seven letters stand. */
const LETTERS = Array.from({ length: 7 }, (_, day) => day * CELL + SIZE / 2).join(' ');

/** A year as months of weeks, a cell a day. What a cell means is said by its shape and darkness, not by colour alone. */
export function yearPicture(calendar: AuditCalendar): Html {
  const months = monthsOf(calendar);
  return html`<div class="year" role="img" aria-label="${labelOf(calendar)}">${months.map(monthPicture)}</div>
`;
}

function monthPicture({ month, stretches }: Month, index: number, all: Month[]): Html {
  const first = (new Date(`${month}-01T00:00:00Z`).getUTCDay() + 6) % 7;
  const weekOf = (day: number) => Math.floor((first + day - 1) / 7);
  // The year begins and ends within a month: weeks that it does not see are not drawn.
  const top = weekOf(stretches[0]?.from ?? 1);
  const bottom = weekOf(stretches.at(-1)?.to ?? daysIn(month));
  const place = (day: number) => ({
    x: ((first + day - 1) % 7) * CELL,
    y: HEAD + (weekOf(day) - top) * CELL,
  });
  const days = stretches.map(({ span, from, to }, at) => {
    const numbered = Array.from({ length: to - from + 1 }, (_, later) => from + later);
    const cells = numbered.map((day) => shapeOf(span, place(day)));
    const numbers = numbered.map((day) => {
      const { x, y } = place(day);
      return html`<text x="${x + SIZE / 2}" y="${y + 14}">${day}</text>`;
    });
    const today = index === 0 && at === 0 ? todayRing(place(from)) : null;
    return html`<g class="${span.state}"><title>${describeSpan(span)}</title>${cells}${numbers}${today}</g>`;
  });
  const needsYear = index === 0 || index === all.length - 1 || month.endsWith('-01');
  const year = needsYear ? ` ${month.slice(0, 4)}` : '';
  return html`<svg viewBox="-1 0 ${7 * CELL} ${HEAD + (bottom - top + 1) * CELL}"><text class="month" x="0" y="13">${nameOf(month, 'long')}${year}</text><text class="week" x="${LETTERS}" y="27">MTWTFSS</text>${days}</svg>
`;
}

const todayRing = ({ x, y }: { x: number; y: number }): Html =>
  html`<rect class="today" x="${x}" y="${y}" width="${SIZE}" height="${SIZE}"/>`;

/** Kept: pale. Archived: pale with a thick line below. Broken: dark with a cut corner. */
function shapeOf({ state }: AuditSpan, { x, y }: { x: number; y: number }): Html {
  const square = html`<path d="M${x} ${y}h${SIZE}v${SIZE}h-${SIZE}z"/>`;
  if (state === 'kept') return square;
  if (state === 'archived')
    return html`${square}<path class="mark" d="M${x} ${y + SIZE - 4}h${SIZE}v4h-${SIZE}z"/>`;
  return html`<path d="M${x} ${y}h${SIZE - 6}l6 6v${SIZE - 6}h-${SIZE}z"/>`;
}

/** One of each, with what it means. */
export function legend(): Html {
  const sample = (state: AuditSpan['state'], words: string) =>
    html`<li><svg viewBox="0 0 ${SIZE} ${SIZE}" width="${SIZE}" height="${SIZE}" aria-hidden="true"><g class="${state}">${shapeOf({ state } as AuditSpan, { x: 0, y: 0 })}<text x="${SIZE / 2}" y="14">7</text></g></svg> ${words}</li>`;
  return html`<ul class="legend">${[
    sample('kept', 'every promise holds'),
    sample('archived', 'it does, but a recovery has to thaw something first'),
    sample('broken', 'a promise does not hold'),
  ]}<li><svg viewBox="-1 -1 ${SIZE + 2} ${SIZE + 2}" width="${SIZE}" height="${SIZE}" aria-hidden="true">${todayRing({ x: 0, y: 0 })}</svg> today</li><li class="soft">Point at a day to see what can be restored on it.</li></ul>
`;
}

function describeSpan(span: AuditSpan): string {
  const { from, to, state, windowFrom, broken } = span;
  const days = from === to ? from : `${from} to ${to}`;
  const window =
    windowFrom === null ? [] : [`every moment since ${windowFrom.slice(0, 16).replace('T', ' ')} UTC`];
  return [`${days}: ${state}`, ...window, describeCounts(span), ...broken.map((line) => `✕ ${line}`)].join(
    '\n',
  );
}

function labelOf(calendar: AuditCalendar): string {
  const troubles = troublesOf(calendar).map(({ from, to }) => (from === to ? from : `${from} to ${to}`));
  const { spans, database } = calendar;
  const year = lengthOf(spans[0]?.from ?? '', spans.at(-1)?.to ?? '');
  const state = troubles.length === 0 ? 'every promise holds' : `broken ${troubles.join(', ')}`;
  return `${year} days of ${database}: ${state}`;
}
