import type { Found, Problem } from '../../model/problem.ts';
import type { DatabaseSummary } from '../fleet.ts';
import { formatAge, formatTable, style } from '../output.ts';
import type { RunRow } from '../runs.ts';
import { formatVerified } from './catalog.ts';
import { formatSpan } from './duration.ts';
import { formatRuns } from './runs.ts';

/** Every database, what would be lost if it died now against its objective, what is wrong, and what is running. */
export function formatFleet(
  databases: readonly DatabaseSummary[],
  runs: readonly RunRow[],
  found: Pick<Found, 'problems' | 'more'>,
  now: Date,
): string {
  const age = ({ newest, tiers }: DatabaseSummary, tier: 'logical' | 'physical') => {
    const time = newest[tier];
    if (time !== null) return formatAge(time, now);
    return tiers.includes(tier) ? style('yellow', 'never') : style('dim', '-');
  };
  const table = formatTable(
    [
      { head: 'database' },
      { head: 'would lose', align: 'right' },
      { head: 'RPO', align: 'right' },
      { head: '' },
      { head: 'logical', align: 'right' },
      { head: 'physical', align: 'right' },
      { head: 'verified' },
    ],
    databases.map((database) => [
      database.database,
      database.lastRecoverableAt === null ? 'all' : formatSpan(lostMs(database.lastRecoverableAt, now)),
      formatSpan(database.rpoSeconds * 1_000),
      verdictOf(database, now),
      age(database, 'logical'),
      age(database, 'physical'),
      formatVerified(database.verified, now),
    ]),
  );
  const running = runs.length === 0 ? 'nothing is running' : formatRuns(runs, now);
  return [databases.length === 0 ? 'no databases' : table, formatProblems(found, databases, now), running]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Those of each database together, in its order; last those of none. */
function formatProblems(
  { problems, more }: Pick<Found, 'problems' | 'more'>,
  databases: readonly DatabaseSummary[],
  now: Date,
): string {
  if (problems.length === 0) return 'everything that should have run has';
  const names = [...databases.map(({ database }) => database), null];
  const rankOf = ({ database }: Problem) => names.indexOf(database);
  const byDatabase = problems.toSorted((a, b) => rankOf(a) - rankOf(b));
  const lines = byDatabase.flatMap(({ severity, what, since, hint }) => [
    `${style(severity === 'critical' ? 'red' : 'yellow', what)}${since === null ? '' : ` (for ${formatSpan(lostMs(since, now))})`}`,
    ...(hint === null ? [] : [`  ${hint}`]),
  ]);
  if (more > 0) lines.push(`and ${more} more`);
  return lines.join('\n');
}

function verdictOf(database: DatabaseSummary, now: Date): string {
  if (database.problem !== null) return style('red', 'UNKNOWN');
  const { lastRecoverableAt, rpoSeconds, gaps } = database;
  if (lastRecoverableAt === null) return style('red', 'UNPROTECTED');
  if (lostMs(lastRecoverableAt, now) > rpoSeconds * 1_000) return style('red', 'BROKEN');
  return gaps > 0 ? style('yellow', 'GAP') : style('green', 'met');
}

const lostMs = (time: string, now: Date) => now.getTime() - Date.parse(time);
