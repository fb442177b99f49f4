import type { AuditCalendar } from '../../model/audit.ts';
import { type Html, html } from '../report/html.ts';
import { lengthOf } from './calendar.ts';

const HEIGHT = 14;

/** A year as one bar, for a table: broken days are full, archived ones half, kept ones a line. */
export function yearStrip({ database, spans }: AuditCalendar): Html {
  const start = spans[0]?.from ?? '';
  const days = lengthOf(start, spans.at(-1)?.to ?? start);
  const bars = joined(spans).map(({ state, from, to }) => {
    const height = { kept: 4, archived: 9, broken: HEIGHT }[state];
    const [x, width] = [lengthOf(start, from) - 1, lengthOf(from, to)];
    return html`<rect class="${state}" x="${x}" y="${HEIGHT - height}" width="${width}" height="${height}"/>`;
  });
  return html`<svg class="strip" viewBox="0 0 ${days} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="the year of ${database}">${bars}</svg>`;
}

function joined(
  spans: AuditCalendar['spans'],
): Pick<AuditCalendar['spans'][number], 'state' | 'from' | 'to'>[] {
  const all: Pick<AuditCalendar['spans'][number], 'state' | 'from' | 'to'>[] = [];
  for (const { state, from, to } of spans) {
    const last = all.at(-1);
    if (last?.state === state) last.to = to;
    else all.push({ state, from, to });
  }
  return all;
}
