import type { Severity } from './alert.ts';
import type { LogGap } from './backup.ts';
import type { Bases } from './tier.ts';

/** Something that should be and is not: a job that never ran, a backup that is too old, a watcher that is gone. */
export interface Problem {
  /** what it is, and of what: the same for as long as it lasts */
  key: string;
  /** null: of a host, or of the whole installation */
  database: string | null;
  severity: Exclude<Severity, 'info'>;
  /** one line, in lower case */
  what: string;
  /** ISO 8601; null: not known */
  since: string | null;
  hint: string | null;
  /** what people hear from the run that is to blame itself: that it began, all of it, or nothing */
  told: 'nothing' | 'beginning' | 'all';
}

/** A problem as the watchdog returns it: part of the contract. */
export interface WatchedProblem extends Problem {
  /** where nothing else tells, since when the watchdog has seen it */
  since: string;
}

/** What `watchdog` returns. */
export interface WatchdogReport {
  /** ISO 8601 */
  at: string;
  problems: WatchedProblem[];
  /** problems beyond those that are listed */
  more: number;
  /** how often each gap in the logs was seen; absent: an earlier version did not look */
  gapLooks?: Record<string, number>;
}

/** What a round has found, and what it could not look at. */
export interface Found {
  problems: Problem[];
  more: number;
  /** databases whose part of the repository could not be read: nothing is known of their backups */
  unread: string[];
  /** of this round and those before; absent: an earlier version did not look */
  gapLooks?: Record<string, number>;
  /** gaps in the logs that are certain by now, and were not before */
  gaps?: { database: string; gap: LogGap; bases?: Bases }[];
}

export interface Development {
  report: WatchdogReport;
  /** to be told: new ones, and each that lasts once a day (UTC), unless a run tells of it */
  due: WatchedProblem[];
  /** those that are gone */
  over: WatchedProblem[];
}

/**
 * What became of the problems since the round before. Of a database that could not be looked at, the problems of before
 * still stand: not seen is not mended.
 */
export function developmentOf(before: WatchdogReport | null, found: Found, now: string): Development {
  const earlier = new Map(before?.problems.map((problem) => [problem.key, problem]));
  const keys = new Set(found.problems.map(({ key }) => key));
  const gone = [...earlier.values()].filter(({ key }) => !keys.has(key));
  // A list that was cut short does not tell what is gone.
  const isUnknown = ({ database }: Problem) =>
    found.more > 0 || (database !== null && found.unread.includes(database));
  const kept = found.more > 0 ? [] : gone.filter(isUnknown);
  const problems = [
    ...found.problems.map((problem) => ({
      ...problem,
      since: problem.since ?? earlier.get(problem.key)?.since ?? now,
    })),
    ...kept,
  ];
  const isNewDay = before !== null && dayOf(before.at) !== dayOf(now);
  return {
    report: {
      ...{ at: now, problems, more: found.more },
      ...(found.gapLooks === undefined ? {} : { gapLooks: found.gapLooks }),
    },
    due: problems.filter(({ key, told }) =>
      earlier.has(key) ? isNewDay && told !== 'all' : told === 'nothing',
    ),
    over: gone.filter((problem) => !isUnknown(problem) && problem.told !== 'all'),
  };
}

export const dayOf = (time: string): string => time.slice(0, 10);
