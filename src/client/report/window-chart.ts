import type { Catalog, CatalogBackup } from '../../model/backup.ts';
import { formatTime } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import { type Html, html } from './html.ts';

const WIDTH = 1_000;
const LANES = { physical: 6, logical: 30, snapshot: 54 } as const satisfies Record<
  CatalogBackup['tier'],
  number
>;
const COLOURS = { physical: '#0550ae', logical: '#6639a6', snapshot: '#953800' } as const satisfies Record<
  CatalogBackup['tier'],
  string
>;
const BAR = { y: 82, height: 24 };

/**
 * Which moments can be recovered, on one axis of time from the oldest backup to now, and the backups above. The
 * picture is stretched to the width that there is, and so holds no text: what it shows stands below it, too.
 */
export function windowChart(catalog: Catalog, now: Date): Html {
  const { backups, intervals, gaps } = catalog;
  const from = Math.min(
    ...backups.map(({ finishedAt }) => Date.parse(finishedAt)),
    ...intervals.map((interval) => Date.parse(interval.from)),
  );
  if (!Number.isFinite(from)) return html`<p>Nothing: there is no backup.</p>`;
  const to = Math.max(now.getTime(), from + 1_000);
  const x = (time: string) => Math.round(((Date.parse(time) - from) / (to - from)) * WIDTH * 10) / 10;
  const span = (start: string, end: string) => ({ x: x(start), width: Math.max(3, x(end) - x(start)) });
  const marks = backups.map(({ id, tier, kind, finishedAt }) => {
    const left = Math.min(WIDTH - 4, x(finishedAt));
    return html`<rect x="${left}" y="${LANES[tier]}" width="${kind === 'diff' ? 2 : 4}" height="18" fill="${COLOURS[tier]}"><title>${tier} ${kind} backup ${id}, ${formatTime(finishedAt, 'up')}</title></rect>`;
  });
  const bars = intervals.map((interval) => {
    const { x: left, width } = span(interval.from, interval.to);
    return html`<rect x="${Math.min(left, WIDTH - 3)}" y="${BAR.y}" width="${width}" height="${BAR.height}" fill="#0b6b2e"><title>${describeInterval(interval)}</title></rect>`;
  });
  const holes = gaps.flatMap(({ after, before, count }) => {
    if (after === null) return [];
    const { x: left, width } = span(after, before ?? after);
    return html`<rect x="${left}" y="${BAR.y}" width="${width}" height="${BAR.height}" fill="#b00020"><title>${count} logs missing</title></rect>`;
  });
  return html`<figure>
<svg class="window" viewBox="0 0 ${WIDTH} 112" preserveAspectRatio="none" role="img" aria-label="${labelOf(catalog)}">
<title>${labelOf(catalog)}</title>
<rect x="0" y="${BAR.y}" width="${WIDTH}" height="${BAR.height}" fill="#eaeef2"></rect>
${bars}${holes}${marks}
</svg>
<div class="ends"><span>${formatTime(new Date(from))}</span><span>now, ${formatTime(now)}</span></div>
<figcaption>Green: every moment can be recovered. Grey: none. Red: logs are missing. Above it the backups: blue physical, violet logical, brown snapshots.</figcaption>
</figure>
<ul>${intervals.map((interval) => html`<li>${describeInterval(interval)}</li>`)}</ul>
`;
}

function labelOf({ intervals, gaps }: Catalog): string {
  const spans = intervals.map(describeInterval).join('; ');
  return `Recoverable: ${spans === '' ? 'nothing' : spans}. Gaps in the logs: ${gaps.length}.`;
}

export function describeInterval({ from, to }: Catalog['intervals'][number]): string {
  if (from === to) return `${formatTime(from)}, one moment`;
  return `${formatTime(from, 'up')} to ${formatTime(to)} (${formatSpan(Date.parse(to) - Date.parse(from))})`;
}
