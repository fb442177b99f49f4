import type { DatabaseSummary } from '../fleet.ts';
import { formatAge, formatTable, style } from '../output.ts';
import type { RunRow } from '../runs.ts';
import { formatSpan } from './duration.ts';
import { formatRuns } from './runs.ts';

/** Every database, what would be lost if it died now against its objective, and what is running. */
export function formatFleet(
  databases: readonly DatabaseSummary[],
  runs: readonly RunRow[],
  now: Date,
): string {
  const age = (time: string | null) => (time === null ? style('yellow', 'never') : formatAge(time, now));
  const table = formatTable(
    [
      { head: 'database' },
      { head: 'would lose', align: 'right' },
      { head: 'RPO', align: 'right' },
      { head: '' },
      { head: 'logical', align: 'right' },
      { head: 'physical', align: 'right' },
    ],
    databases.map((database) => [
      database.database,
      database.lastRecoverableAt === null ? 'all' : formatSpan(lostMs(database.lastRecoverableAt, now)),
      formatSpan(database.rpoSeconds * 1_000),
      verdictOf(database, now),
      age(database.newest.logical),
      age(database.newest.physical),
    ]),
  );
  const problems = databases.flatMap(({ database, problem }) =>
    problem === null ? [] : [style('red', `${database}: ${problem}`)],
  );
  const running = runs.length === 0 ? 'nothing is running' : formatRuns(runs, now);
  return [databases.length === 0 ? 'no databases' : table, problems.join('\n'), running]
    .filter((part) => part !== '')
    .join('\n\n');
}

function verdictOf(database: DatabaseSummary, now: Date): string {
  if (database.problem !== null) return style('red', 'UNKNOWN');
  const { lastRecoverableAt, rpoSeconds, gaps } = database;
  if (lastRecoverableAt === null) return style('red', 'UNPROTECTED');
  if (lostMs(lastRecoverableAt, now) > rpoSeconds * 1_000) return style('red', 'BROKEN');
  return gaps > 0 ? style('yellow', 'GAP') : style('green', 'met');
}

const lostMs = (time: string, now: Date) => now.getTime() - Date.parse(time);
