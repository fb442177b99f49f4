import type { Catalog, LogGap } from '../model/backup.ts';
import { describeLost, gapKey, gapName, isOpenGap, type LostLogs } from '../model/gap.ts';
import type { Problem } from '../model/problem.ts';
import type { Bases } from '../model/tier.ts';

const SECOND_LOOK = 2;

export interface GapsFound {
  problems: Problem[];
  /** seen for the second time just now: something has to be done about them */
  confirmed: { database: string; gap: LogGap; bases?: Bases }[];
  /** how often each was seen, by its key */
  looks: Record<string, number>;
}

/**
 * Gaps of one database, by its whole listing: what the watcher, which lists the newest logs alone, does not see. One counts
 * when it is seen for the second time; what the watcher knows to be in flight is none.
 */
export function findGaps(
  { database, gaps }: Pick<Catalog, 'database' | 'gaps'>,
  {
    inFlight,
    looks: before,
    settleMs,
    now,
  }: {
    inFlight: readonly LostLogs[];
    /** model/tier.ts */
    settleMs: number;
    /** null: nobody has looked before, and nobody looks again */
    looks: Record<string, number> | null;
    now: Date;
  },
): GapsFound {
  const found: GapsFound = { problems: [], confirmed: [], looks: {} };
  for (const gap of gaps) {
    if (gap.acknowledged !== undefined || !isSettled(gap, now, settleMs)) continue;
    if (inFlight.some((run) => overlaps(run, gap))) continue;
    const key = gapKey(database, gap);
    const looks = before === null ? SECOND_LOOK : Math.min((before[key] ?? 0) + 1, SECOND_LOOK + 1);
    found.looks[key] = looks;
    if (looks < SECOND_LOOK) continue;
    if (looks === SECOND_LOOK) found.confirmed.push({ database, gap });
    if (isOpenGap(gap)) found.problems.push(problemOf(database, key, gap));
  }
  return found;
}

function problemOf(database: string, key: string, gap: LogGap): Problem {
  return {
    ...{ key, database, severity: 'critical', since: gap.before },
    what: `${describeLost(gap, database)}: nothing that came after can be recovered until a new full backup has ended`,
    hint: `holdfast list shows the backup that was begun; holdfast gap acknowledge ${database} --gap ${gapName(gap)} --reason …`,
    // Whoever found it has told.
    told: 'beginning',
  };
}

const isSettled = ({ before }: LogGap, now: Date, settleMs: number) =>
  before === null || now.getTime() - Date.parse(before) >= settleMs;

/** Names of one timeline are in the order of its logs. */
const overlaps = (run: LostLogs, gap: LogGap) =>
  run.timeline === gap.timeline && run.firstMissing <= gap.lastMissing && gap.firstMissing <= run.lastMissing;
