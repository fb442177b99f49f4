import type { Client } from '@temporalio/client';
import { describeDatabase } from '../config/describe.ts';
import { desiredSchedules, SCHEDULE_PREFIX } from '../config/schedules.ts';
import type { Config } from '../config/schema.ts';
import { gapKey } from '../model/gap.ts';
import type { Found, Problem } from '../model/problem.ts';
import { settleMs } from '../model/tier.ts';
import { backupProblems } from './backups.ts';
import type { Looked } from './catalogs.ts';
import { findGaps, type GapsFound } from './gaps.ts';
import { failedRuns } from './runs.ts';
import { scheduleProblems } from './schedules.ts';
import { readSchedules } from './temporal.ts';
import { inFlightOf, readWatchers, type WatcherSeen, watcherProblems } from './watchers.ts';

/** What a workflow's result can hold, by far. */
const MOST = 200;
/** Each is an alert and a backup: more of them wait for the next looks. */
const MOST_GAPS = 20;

/** What should have run against what did: schedules, runs, watchers, and the backups that came of them. */
export async function lookForProblems(input: {
  config: Config;
  client: Client;
  catalogs: ReadonlyMap<string, Looked>;
  /** what was found of servers that databases have left */
  former: readonly Problem[];
  /** what is known from an earlier look */
  before: readonly Problem[];
  /** how often gaps were seen before; null: this look has to do */
  gapLooks: Record<string, number> | null;
  now: Date;
}): Promise<Found> {
  const { config, client, catalogs, former, before, now } = input;
  const desired = desiredSchedules(config);
  const schedules = await readSchedules(client, desired);
  const unread = [...catalogs].flatMap(([name, { unread }]) => (unread === null ? [] : [name]));
  const watchers = await readWatchers(client, desired);
  const gaps = gapsOfAll(config, catalogs, { watchers, looks: input.gapLooks, now });
  const problems = [
    ...former,
    ...repositoryProblems(catalogs),
    ...scheduleProblems(desired, schedules),
    ...watcherProblems(watchers, now),
    ...gaps.problems,
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
    gapLooks: Object.fromEntries(Object.entries(gaps.looks).slice(0, MOST)),
    gaps: gaps.confirmed,
  };
}

function gapsOfAll(
  config: Config,
  catalogs: ReadonlyMap<string, Looked>,
  {
    watchers,
    looks,
    now,
  }: { watchers: readonly WatcherSeen[]; looks: Record<string, number> | null; now: Date },
): GapsFound {
  const all: GapsFound = { problems: [], confirmed: [], looks: {} };
  for (const [name, { catalog }] of catalogs) {
    if (catalog === null) {
      // What was seen before is still so, for all that is known.
      const known = Object.entries(looks ?? {}).filter(([key]) => key.startsWith(`gap/${name}/`));
      Object.assign(all.looks, Object.fromEntries(known));
      continue;
    }
    const found = findGaps(catalog, {
      ...{ inFlight: inFlightOf(watchers, name), looks, now },
      settleMs: settleMs(describeDatabase(config, name).tiers.log),
    });
    all.problems.push(...found.problems);
    const { bases } = describeDatabase(config, name);
    all.confirmed.push(...found.confirmed.map((one) => (bases === 'logical' ? { ...one, bases } : one)));
    Object.assign(all.looks, found.looks);
  }
  // Those that are too many count as seen once: the next look confirms them.
  for (const { database, gap } of all.confirmed.splice(MOST_GAPS)) all.looks[gapKey(database, gap)] = 1;
  return all;
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
