import type { Backup } from './backup.ts';
import type { Horizon, Span } from './calendar.ts';
import { uncovered } from './calendar.ts';
import type { Cause } from './fate.ts';
import { monthOf, monthStart } from './future.ts';
import type { BackupLife } from './life.ts';

/** A backup that is promised for a time in which it will not be there, by what is sound now. */
export interface Broken extends Span {
  code: 'expires-too-early' | 'needed-gone';
  victim: Backup;
  /** what is gone: the victim itself, or what it needs */
  gone: Backup;
  cause: Cause;
}

/** What is sound now, or will be made, and does not last as long as it was promised. */
export function brokenPromises(lives: Iterable<BackupLife>, { end }: Horizon): Broken[] {
  const broken: Broken[] = [];
  for (const { backup, sound, needed } of lives) {
    if (sound.at === Number.NEGATIVE_INFINITY) continue;
    const { promisedUntil, finishedAt } = backup;
    if (sound.at < promisedUntil && sound.at < end) {
      const span = { from: Math.max(sound.at, finishedAt), to: promisedUntil };
      broken.push({ code: 'expires-too-early', victim: backup, gone: backup, cause: sound.cause, ...span });
    }
    if (needed === null) continue;
    const { life, ending } = needed;
    const span = { from: Math.max(ending.at, finishedAt), to: Math.min(promisedUntil, sound.at) };
    if (span.from >= span.to || span.from >= end) continue;
    broken.push({ code: 'needed-gone', victim: backup, gone: life.backup, cause: ending.cause, ...span });
  }
  return broken.filter(({ from, to }) => from < to).sort((a, b) => a.from - b.from);
}

/** When a backup that is promised cannot be restored, for whatever reason. */
export function unrestorable(lives: Iterable<BackupLife>): { backup: Backup; span: Span }[] {
  const found: { backup: Backup; span: Span }[] = [];
  for (const { backup, restorable } of lives) {
    const span = { from: Math.max(restorable.at, backup.finishedAt), to: backup.promisedUntil };
    if (span.from < span.to) found.push({ backup, span });
  }
  return found;
}

/** A month that lies wholly in what snapshots are kept for, and has none. */
export interface MissingMonth extends Span {
  month: number;
  /** snapshots that were in it, or will be */
  made: BackupLife[];
}

/** `2027-01`. */
export const monthName = (month: number): string => new Date(monthStart(month)).toISOString().slice(0, 7);

export function missingMonths(
  lives: Iterable<BackupLife>,
  snapshotMs: number,
  { now, end }: Horizon,
): MissingMonth[] {
  const snapshots = [...lives].filter(({ backup }) => backup.kind === 'snapshot');
  const existing = snapshots.flatMap(({ backup }) => (backup.node === null ? [] : backup.finishedAt));
  const oldest = existing.length === 0 ? monthOf(now) + 1 : monthOf(Math.min(...existing));
  const byMonth = Map.groupBy(snapshots, ({ backup }) => monthOf(backup.finishedAt));
  const missing: MissingMonth[] = [];
  for (let month = Math.max(oldest, monthOf(now - snapshotMs)); monthStart(month + 1) < end; month += 1) {
    const made = byMonth.get(month) ?? [];
    const promised = { from: Math.max(now, monthStart(month + 1)), to: monthStart(month) + snapshotMs };
    if (promised.from >= promised.to) continue;
    const kept = made.map(({ backup, restorable }) => ({ from: backup.finishedAt, to: restorable.at }));
    missing.push(...uncovered(promised, kept).map((span) => ({ ...span, month, made })));
  }
  return missing.filter(({ from }) => from < end).sort((a, b) => a.from - b.from);
}
