import type { AuditSpan } from '../../model/audit.ts';
import { formatDuration } from '../../model/duration.ts';
import { type Backup, type BackupKind, isBase } from './backup.ts';
import { daysBegun, daysTouched, type Horizon, type Span, uncovered } from './calendar.ts';
import type { BackupLife } from './life.ts';
import { type MissingMonth, monthName } from './promises.ts';

export interface Days {
  horizon: Horizon;
  lives: readonly BackupLife[];
  /** null: no window is promised */
  window: { windowMs: number; holes: readonly Span[]; unready: readonly Span[] } | null;
  /** bases that lead to now, in the order of their ends, and until when */
  serving: readonly ({ base: Backup } & Span)[];
  unrestorable: readonly { backup: Backup; span: Span }[];
  months: readonly MissingMonth[];
  /** what else is broken from a moment on */
  others: readonly { from: number; line: string }[];
}

type Numbers = Pick<AuditSpan, 'fulls' | 'differentials' | 'logicals' | 'snapshots'>;
const COUNTED = {
  full: 'fulls',
  diff: 'differentials',
  logical: 'logicals',
  snapshot: 'snapshots',
} as const satisfies Record<BackupKind, keyof Numbers>;

/** Every day of the horizon, with neighbours that are alike in one span. */
export function spansOf(days: Days): AuditSpan[] {
  const { horizon } = days;
  const counts = countsOf(days);
  const broken = brokenLines(days);
  const windowFrom = windowsOf(days);
  const archived = archivedDays(days);
  const spans: AuditSpan[] = [];
  let last: AuditSpan | null = null;
  for (const [day, name] of horizon.names.entries()) {
    const lines = broken[day] ?? [];
    const span: AuditSpan = {
      ...{ from: name, to: name, windowFrom: windowFrom[day] ?? null, broken: lines },
      state: lines.length > 0 ? 'broken' : archived[day] ? 'archived' : 'kept',
      ...(counts[day] as Numbers),
    };
    if (last !== null && isAlike(last, span)) last.to = name;
    else spans.push(span);
    last = spans.at(-1) ?? null;
  }
  return spans;
}

function isAlike(a: AuditSpan, b: AuditSpan): boolean {
  return (
    a.state === b.state &&
    a.windowFrom === b.windowFrom &&
    Object.values(COUNTED).every((name) => a[name] === b[name]) &&
    a.broken.length === b.broken.length &&
    a.broken.every((line, index) => line === b.broken[index])
  );
}

/** What can be restored when a day begins; ours are hidden once their retention has ended. */
function countsOf({ horizon, lives }: Days): Numbers[] {
  const changes = Array.from({ length: horizon.days + 1 }, () => zero());
  for (const { backup, restorable } of lives) {
    const to = isBase(backup) ? restorable.at : Math.min(restorable.at, backup.promisedUntil);
    const begun = daysBegun(horizon, { from: backup.finishedAt, to });
    if (begun.from >= begun.to) continue;
    const name = COUNTED[backup.kind];
    (changes[begun.from] as Numbers)[name] += 1;
    (changes[begun.to] as Numbers)[name] -= 1;
  }
  const sum = zero();
  return changes.slice(0, horizon.days).map((change) => {
    for (const name of Object.values(COUNTED)) sum[name] += change[name];
    return { ...sum };
  });
}

const zero = (): Numbers => ({ fulls: 0, differentials: 0, logicals: 0, snapshots: 0 });

const NAMES = {
  full: ['full backup', 'full backups'],
  diff: ['differential', 'differentials'],
  logical: ['logical backup', 'logical backups'],
  snapshot: ['snapshot', 'snapshots'],
} as const;

/** `3 differentials`. */
export function countOf(count: number, kind: BackupKind): string {
  return `${count} ${NAMES[kind][count === 1 ? 0 : 1]}`;
}

/** What is wrong on each day, at any moment of it. */
function brokenLines({ horizon, window, unrestorable, months, others }: Days): string[][] {
  const lines = Array.from({ length: horizon.days }, (): string[] => []);
  const mark = (span: Span, line: string) => {
    const touched = daysTouched(horizon, span);
    for (let day = touched.from; day < touched.to; day += 1) {
      if (lines[day]?.at(-1) !== line) lines[day]?.push(line);
    }
  };
  if (window !== null) {
    const line = `the window of ${formatDuration(window.windowMs)} is not kept`;
    for (const hole of window.holes) mark(hole, line);
  }
  for (const [kind, ofKind] of Map.groupBy(unrestorable, ({ backup }) => backup.kind)) {
    const changes = new Array<number>(horizon.days + 1).fill(0);
    for (const { span } of ofKind) {
      const touched = daysTouched(horizon, span);
      if (touched.from >= touched.to) continue;
      changes[touched.from] = (changes[touched.from] ?? 0) + 1;
      changes[touched.to] = (changes[touched.to] ?? 0) - 1;
    }
    let count = 0;
    for (let day = 0; day < horizon.days; day += 1) {
      count += changes[day] ?? 0;
      if (count > 0) lines[day]?.push(`${countOf(count, kind)} cannot be restored, and should`);
    }
  }
  for (const { month, ...span } of months) mark(span, `there is no snapshot of ${monthName(month)}`);
  for (const { from, line } of others) mark({ from, to: Number.POSITIVE_INFINITY }, line);
  return lines;
}

/** The oldest moment from which everything can be recovered, when each day begins. */
function windowsOf({ horizon, serving }: Days): (string | null)[] {
  const oldest = new Array<string | null>(horizon.days).fill(null);
  for (const { base, ...span } of serving) {
    const begun = daysBegun(horizon, span);
    let iso: string | null = null;
    for (let day = begun.from; day < begun.to; day += 1) {
      if (oldest[day] !== null) continue;
      iso ??= new Date(base.finishedAt).toISOString();
      oldest[day] = iso;
    }
  }
  return oldest;
}

/** Days that begin so that something has to be thawed before a recovery. */
function archivedDays({ horizon, window, lives }: Days): boolean[] {
  const days = new Array<boolean>(horizon.days).fill(false);
  const mark = (spans: readonly Span[]) => {
    for (const span of spans) {
      const begun = daysBegun(horizon, span);
      days.fill(true, begun.from, Math.max(begun.from, begun.to));
    }
  };
  if (window !== null) {
    mark(window.unready);
    return days;
  }
  const spans = (end: (life: BackupLife) => number) =>
    lives.map((life) => {
      const { kind, finishedAt, promisedUntil } = life.backup;
      const isHidden = kind === 'logical' || kind === 'snapshot';
      return {
        from: finishedAt,
        to: Math.min(end(life), isHidden ? promisedUntil : Number.POSITIVE_INFINITY),
      };
    });
  const all = { from: horizon.now, to: horizon.end };
  mark(
    uncovered(
      all,
      spans(({ ready }) => ready),
    ),
  );
  for (const none of uncovered(
    all,
    spans(({ restorable }) => restorable.at),
  )) {
    const begun = daysBegun(horizon, none);
    days.fill(false, begun.from, Math.max(begun.from, begun.to));
  }
  return days;
}
