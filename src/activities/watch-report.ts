import type { DatabaseView } from '../config/describe.ts';
import type { LogReport } from '../engines/contract/backup.ts';
import type { LogGap } from '../model/backup.ts';
import { formatDuration } from '../model/duration.ts';
import type { LostLogs } from '../model/gap.ts';
import type { Bases, LogTier } from '../model/tier.ts';
import type { LogRound } from '../repository/continuity/round.ts';

/** A round of the log watcher at one database, small: a host may have a thousand. `problem` in words where there is one. */
export type WatchReport = Pick<LogReport, 'database'> &
  Partial<Pick<LogReport, 'at' | 'lastArchivedLog' | 'lastArchivedAt' | 'waiting' | 'switched'>> & {
    problem: string | null;
    /** measured: the newest moment that could be recovered now, and what would be lost; absent: nobody could look */
    recoverableAt?: string | null;
    rpoSeconds?: number | null;
    logs?: LogsSeen;
    /** the log that takes longer than the round to be shipped */
    shipping?: string;
    /** what the next round begins with */
    cursor?: NonNullable<LogRound['cursor']>;
  };

export interface LogsSeen {
  /** of which tier a new base is, where something is lost; absent: physical */
  bases?: Bases;
  timeline: number | null;
  archivedUpTo: string | null;
  /** false: what is archived now counts once a base has begun behind what is lost, or there is a base at all */
  anchored: boolean;
  /** the first of them */
  inFlight: LostLogs[];
  lost: LogGap[];
}

const MOST_RUNS = 5;
const LONGEST_PROBLEM = 400;

/** What a round has found out; null is what could not be asked, and `trouble` says why. */
export interface WatchFindings {
  server: (LogReport & { shipping?: string | null }) | null;
  logs: LogRound | null;
  trouble: readonly string[];
  now: Date;
}

export function reportOf(
  { name, objectives, tiers, bases }: Pick<DatabaseView, 'name' | 'objectives' | 'tiers' | 'bases'>,
  { server, logs, trouble, now }: WatchFindings,
): WatchReport {
  const recoverableAt = logs?.recoverableAt ?? null;
  const lostMs = recoverableAt === null ? null : Math.max(0, now.getTime() - Date.parse(recoverableAt));
  const problem =
    [
      ...trouble,
      ...(server === null
        ? []
        : archiverProblem(server, tiers.log?.maxAgeMs ?? Number.POSITIVE_INFINITY, WORDS[bases])),
      ...lateProblem(lostMs, objectives.rpoMs, tiers.log),
    ].join('; ') || null;
  return {
    database: name,
    ...(server === null ? {} : saidByServer(server)),
    ...(logs === null
      ? {}
      : {
          recoverableAt,
          rpoSeconds: lostMs === null ? null : Math.round(lostMs / 1_000),
          logs: {
            ...(bases === 'logical' ? { bases } : {}),
            timeline: logs.timeline,
            archivedUpTo: logs.archivedUpTo,
            anchored: logs.cursor?.anchored ?? false,
            inFlight: logs.inFlight.slice(0, MOST_RUNS),
            lost: logs.lost.slice(0, MOST_RUNS),
          },
          ...(logs.cursor === null ? {} : { cursor: logs.cursor }),
        }),
    problem:
      problem !== null && problem.length > LONGEST_PROBLEM
        ? `${problem.slice(0, LONGEST_PROBLEM)}…`
        : problem,
  };
}

function saidByServer(said: NonNullable<WatchFindings['server']>) {
  const { at, lastArchivedLog, lastArchivedAt, waiting, switched, shipping } = said;
  return {
    ...{ at, lastArchivedLog, lastArchivedAt, waiting, switched },
    ...(shipping == null ? {} : { shipping }),
  };
}

const WORDS = {
  physical: {
    fails: 'archiving fails',
    none: 'nothing was archived yet',
    newest: 'the newest archived log is',
  },
  logical: {
    fails: 'shipping logs fails',
    none: 'no log was shipped yet',
    newest: 'the end of the newest shipped log is',
  },
} as const satisfies Record<Bases, object>;

/** Said before the RPO is broken: the archiver's own message, or the age of the newest archived log. */
function archiverProblem(report: LogReport, maxAgeMs: number, words: (typeof WORDS)[Bases]): string[] {
  const { failure, lastArchivedAt, at } = report;
  if (failure !== null) return [`${words.fails} since ${failure.at}: ${failure.message}`];
  if (lastArchivedAt === null) return [words.none];
  const age = Date.parse(at) - Date.parse(lastArchivedAt);
  return age > maxAgeMs ? [`${words.newest} ${Math.round(age / 1_000)} s old`] : [];
}

/** Said whatever the server thinks of its archiver: what counts is what lies in the repository. */
function lateProblem(lostMs: number | null, rpoMs: number, log: LogTier | null): string[] {
  if (lostMs === null || lostMs <= warningMs(rpoMs, log)) return [];
  const lost = formatDuration(Math.round(lostMs / 1_000) * 1_000);
  return [`if it were lost now, the last ${lost} would be gone, of an RPO of ${formatDuration(rpoMs)}`];
}

/** Three quarters of the RPO: time to do something. Never less than what can be lost with everything in order. */
export function warningMs(rpoMs: number, log: LogTier | null): number {
  return Math.max(0.75 * rpoMs, log?.worstMs ?? 0);
}
