import type { Catalog, CatalogBackup, LogGap, RecoveryInterval } from '../../model/backup.ts';
import { formatAge, formatBytes, formatParagraph, formatTable, formatTime, style } from '../output.ts';
import { formatSpan } from './duration.ts';
import { formatGap } from './gaps.ts';
import { formatWindow } from './window.ts';

export interface CatalogView {
  catalog: Catalog;
  /** how much may be lost; null: no objective is set */
  objectiveSeconds: number | null;
  now: Date;
  width: number | null;
}

/** What can be recovered, and from what: the window first, then gaps, then the backups, newest first. */
export function formatCatalog(view: CatalogView): string {
  const { catalog, now, width } = view;
  const parts = [formatRecoverable(view)];
  const picture = formatWindow(catalog, now, width ?? 100);
  if (picture !== '') parts.push(picture);
  if (catalog.gaps.length > 0) parts.push(formatGapsOf(catalog.gaps, width));
  parts.push(formatBackups(catalog.backups, now));
  return parts.join('\n\n');
}

function formatRecoverable({ catalog, objectiveSeconds, now, width }: CatalogView): string {
  const { lastRecoverableAt } = catalog;
  const lines = [style('bold', catalog.database)];
  if (lastRecoverableAt === null) {
    lines.push(
      style('red', formatParagraph('nothing can be recovered: there is no usable backup', '  ', width)),
    );
  } else {
    const lost = now.getTime() - new Date(lastRecoverableAt).getTime();
    lines.push(
      formatParagraph(
        `lost if it died now: ${formatSpan(lost)} (recoverable to ${formatTime(lastRecoverableAt)})`,
        '  ',
        width,
      ),
    );
    if (objectiveSeconds !== null) {
      const met = lost <= objectiveSeconds * 1_000;
      const verdict = met ? style('green', 'met') : style('red', 'BROKEN');
      lines.push(`  objective (RPO): ${formatSpan(objectiveSeconds * 1_000)}, ${verdict}`);
    }
  }
  for (const [index, interval] of catalog.intervals.entries()) {
    lines.push(`  ${index === 0 ? 'recoverable' : '           '} ${describeInterval(interval)}`);
  }
  return lines.join('\n');
}

function describeInterval({ from, to }: RecoveryInterval): string {
  if (from === to) return `${formatTime(from)}  a point: this backup without logs after it`;
  const span = formatSpan(new Date(to).getTime() - new Date(from).getTime());
  return `${formatTime(from, 'up')} to ${formatTime(to)}  ${span}`;
}

function formatGapsOf(gaps: readonly LogGap[], width: number | null): string {
  const isKnown = gaps.every(({ acknowledged }) => acknowledged !== undefined);
  const head = style(isKnown ? 'bold' : ['bold', 'red'], 'LOG GAPS');
  return [head, ...gaps.map((gap) => formatGap(gap, width))].join('\n');
}

function formatBackups(backups: readonly CatalogBackup[], now: Date): string {
  if (backups.length === 0) return 'no backups';
  const proved = backups.some((backup) => backup.verified !== null);
  const rows = [...backups]
    .sort((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt))
    .map((backup) => [
      backup.id,
      backup.tier === 'physical' ? backup.kind : backup.tier,
      formatTime(backup.finishedAt, 'up'),
      formatBytes(backup.sizeBytes),
      formatLock(backup, now),
      ...(proved ? [formatVerified(backup.verified, now)] : []),
    ]);
  return formatTable(
    [
      { head: 'backup' },
      { head: 'kind' },
      { head: 'finished' },
      { head: 'size', align: 'right' },
      { head: 'lock', align: 'right' },
      ...(proved ? [{ head: 'proved' }] : []),
    ],
    rows,
  );
}

/** `pass, 3h ago`; a proof has an age. */
export function formatVerified(verified: CatalogBackup['verified'], now: Date): string {
  if (verified === null) return 'never';
  const { verdict, at } = verified;
  const colour = verdict === 'pass' ? 'green' : verdict === 'fail' ? 'red' : 'yellow';
  return `${style(colour, verdict)}, ${formatAge(at, now)}`;
}

/** How long the lock still holds: `29d`, `held` where a person holds it; `-` where there is none, or it has run out. */
function formatLock({ lockedUntil: until, legalHold }: CatalogBackup, now: Date): string {
  const lasts = until !== null && Date.parse(until) > now.getTime();
  const left = lasts ? formatAge(until, now).replace(/^in (\d+[a-z]).*/, '$1') : '-';
  if (legalHold !== true) return left;
  return lasts ? `${left}, held` : 'held';
}
