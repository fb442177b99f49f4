import { countOf } from '../../model/plan.ts';
import type { Repaired } from '../../repository/repair/apply.ts';
import type { Mend } from '../../repository/repair/area.ts';
import { formatCount, formatParagraph, formatTable, formatTime, style } from '../output.ts';
import type { RepairAnswer } from '../repository-repair.ts';

/** More of them would hide the rest; `--output json` has all. */
const MOST_SHOWN = 10;

export function formatRepairPlan(plan: RepairAnswer, width: number | null): string {
  const { mends, lost, doubts } = plan;
  return [
    `${style('bold', 'bucket')} ${plan.bucket}: ${formatCount(plan.looked)} keys of ${plan.databases.join(', ')} looked at`,
    ...(mends.length === 0 ? [] : [formatMends(mends, width)]),
    ...section(
      style('red', 'needed, and not there in any version'),
      lost.map(({ key, of }) => `${key}, of ${of}`),
      width,
    ),
    ...section(
      'only a person can tell',
      doubts.map(({ key, why, hint }) => `${key}: ${why}\nHINT: ${hint}`),
      width,
    ),
    mends.length === 0 ? 'nothing to repair' : summarize(mends),
    ...(mends.length === 0 ? [] : [formatParagraph(FIRST, '', width)]),
  ].join('\n\n');
}

export function formatRepaired({ copied, markersRemoved, hidden, failed }: Repaired, width: number | null) {
  const done = [
    `removed ${countOf(markersRemoved, 'delete marker')}, put ${countOf(copied, 'version')} back on top`,
    ...(hidden === 0 ? [] : [`removed again what was written over ${countOf(hidden, 'key')}`]),
  ].join('; ');
  const wrong = section(
    style('red', 'could not be repaired'),
    failed.map(({ key, why, hint }) => `${key}: ${why}${hint === null ? '' : `\nHINT: ${hint}`}`),
    width,
  );
  return [done, ...wrong].join('\n\n');
}

const FIRST =
  'Whoever did this may do it again: take the credentials away first, and repair then. What was written over a backup stays beneath, in its versions.';

function summarize(mends: readonly Mend[]): string {
  const markers = mends.reduce((sum, mend) => sum + mend.markers.length, 0);
  const copies = mends.filter(({ copy }) => copy).length;
  const hidden = mends.filter(({ good }) => good === null).length;
  return [
    `${countOf(mends.length, 'key')} to repair: ${countOf(markers, 'delete marker')} to remove`,
    `${countOf(copies, 'version')} to put back on top of what was written over ${copies === 1 ? 'it' : 'them'}`,
    ...(hidden === 0 ? [] : [`${countOf(hidden, 'key')} to remove again, that had been removed before`]),
  ].join(', ');
}

/** By what they belong to: a person knows backups, no keys. */
function formatMends(mends: readonly Mend[], width: number | null): string {
  const groups = [...Map.groupBy(mends, ({ of }) => of)];
  const rows = groups.map(([of, ofOne]) => [
    of,
    formatCount(ofOne.length),
    formatCount(ofOne.reduce((sum, { markers }) => sum + markers.length, 0)),
    formatCount(ofOne.filter(({ copy }) => copy).length),
    newestOf(ofOne),
  ]);
  const columns = [
    { head: 'of' },
    { head: 'keys', align: 'right' as const },
    { head: 'markers', align: 'right' as const },
    { head: 'overwritten', align: 'right' as const },
    { head: 'good versions until' },
  ];
  return formatTable(columns, rows, { indent: '  ', width });
}

function newestOf(mends: readonly Mend[]): string {
  const times = mends.flatMap(({ good }) => good?.writtenAt ?? []).sort();
  const newest = times.at(-1);
  return newest === undefined ? '' : formatTime(newest);
}

function section(title: string, items: readonly string[], width: number | null): string[] {
  if (items.length === 0) return [];
  const shown = items.slice(0, MOST_SHOWN).map((item) => formatParagraph(`- ${item}`, '  ', width));
  const more = items.length > MOST_SHOWN ? [`  and ${formatCount(items.length - MOST_SHOWN)} more`] : [];
  return [[`${title}:`, ...shown, ...more].join('\n')];
}
