import type { Client } from '@temporalio/client';
import { describeDatabase } from '../config/describe.ts';
import { desiredSchedules, SCHEDULE_PREFIX } from '../config/schedules.ts';
import type { Config } from '../config/schema.ts';
import type { Found, Problem } from '../model/problem.ts';
import { backupProblems } from './backups.ts';
import type { Looked } from './catalogs.ts';
import { failedRuns } from './runs.ts';
import { scheduleProblems } from './schedules.ts';
import { readSchedules } from './temporal.ts';
import { readWatchers, watcherProblems } from './watchers.ts';

/** What a workflow's result can hold, by far. */
const MOST = 200;

/** What should have run against what did: schedules, runs, watchers, and the backups that came of them. */
export async function lookForProblems(input: {
  config: Config;
  client: Client;
  catalogs: ReadonlyMap<string, Looked>;
  /** what was found of servers that databases have left */
  former: readonly Problem[];
  /** what is known from an earlier look */
  before: readonly Problem[];
  now: Date;
}): Promise<Found> {
  const { config, client, catalogs, former, before, now } = input;
  const desired = desiredSchedules(config);
  const schedules = await readSchedules(client, desired);
  const unread = [...catalogs].flatMap(([name, { unread }]) => (unread === null ? [] : [name]));
  const problems = [
    ...former,
    ...repositoryProblems(catalogs),
    ...scheduleProblems(desired, schedules),
    ...watcherProblems(await readWatchers(client, desired), now),
    ...(await failedRuns(client, [...catalogs.keys()], { before, now })),
    ...[...catalogs].flatMap(([name, { catalog }]) =>
      catalog === null
        ? []
        : backupProblems(describeDatabase(config, name), catalog, {
            since: (tier) => schedules.get(`${SCHEDULE_PREFIX}${tier}/${name}`)?.since ?? null,
            now,
          }),
    ),
  ].toSorted((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
  return {
    problems: problems.slice(0, MOST),
    more: Math.max(0, problems.length - MOST),
    unread,
  };
}

/** Said once where none can be read: that is the repository, not the databases. */
export function repositoryProblems(catalogs: ReadonlyMap<string, Looked>): Problem[] {
  const unread = [...catalogs].flatMap(([name, { unread }]) => (unread === null ? [] : [{ name, unread }]));
  const base = {
    severity: 'critical' as const,
    since: null,
    hint: 'see `repository` in the configuration',
    told: 'nothing' as const,
  };
  const [first] = unread;
  if (first !== undefined && unread.length > 1 && unread.length === catalogs.size) {
    return [
      { ...base, key: 'repository', database: null, what: `the repository cannot be read: ${first.unread}` },
    ];
  }
  return unread.map(({ name, unread: why }) => ({
    ...base,
    key: `repository/${name}`,
    database: name,
    what: `what the repository holds of ${name} cannot be read: ${why}`,
  }));
}
