import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import type { Dependencies } from '../src/activities/dependencies.ts';
import { createProtectionActivities } from '../src/activities/protection.ts';
import type { WatchHost } from '../src/activities/watch.ts';
import type { WatchReport } from '../src/activities/watch-report.ts';
import type { LogReport, WatchInput } from '../src/engines/contract/backup.ts';
import type { Engine } from '../src/engines/engine.ts';
import { mapBounded } from '../src/repository/bounded.ts';
import { writeManifest } from '../src/repository/manifests.ts';
import type { Repository } from '../src/repository/repository.ts';
import type { RepositoryFixture } from '../test/engine/repository/fixture.ts';
import { NO_METRICS } from '../test/no-metrics.ts';
import { databaseText, exampleConfig } from '../test/unit/config/example.ts';
import { base, heartbeat, logName, SEGMENT_MS } from '../test/unit/repository/recoverability.ts';
import { LoadWatch, type Row, spreadOf, timed } from './measure.ts';
import { logKey, putNames, withRepository } from './repository.ts';

const DATABASES = 1_000;
const LOGS = 20;
const AT_MOST_SECONDS = 60;
const AT_ONCE = 32;

/**
 * A round of the log watcher over a host with 1,000 databases, by one worker. The servers are faked: each answers at once.
 * The repository is real: a heartbeat is written to it, and the news of each archive are listed, in every round.
 */
export async function benchWatch(options: {
  pairs: number;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<Row> {
  const { pairs, signal, say } = options;
  return withRepository(async (repository, fixture) => {
    const names = Array.from({ length: DATABASES }, (_, n) => `db${n}`);
    await fill(repository, names, signal);
    say(`${DATABASES.toLocaleString('en-US')} databases are in the repository; their servers are faked`);
    let archived = LOGS;
    const round = watcherOf(fixture, names, () => archived);
    const load = new LoadWatch();
    const seconds: number[] = [];
    let bytes = 0;
    // The first begins with everything, the others with what is new.
    for (let count = 0; count <= pairs; count += 1) {
      if (count > 0) {
        archived += 1;
        await putNames(
          repository,
          names.map((name) => logKey(name, logName(archived))),
          signal,
        );
      }
      let reports: WatchReport[] = [];
      seconds.push(
        await timed(async () => {
          reports = await round();
        }),
      );
      load.look();
      bytes = Buffer.byteLength(JSON.stringify(reports));
      const late = reports.filter(({ logs }) => logs?.archivedUpTo !== logName(archived));
      if (reports.length !== DATABASES || late.length > 0)
        throw new Error(`${late.length} were not looked at`);
      say(`watch: ${seconds.at(-1)?.toFixed(1)} s, ${(bytes / 1e3).toFixed(0)} kB of reports`);
    }
    const [first = 0, ...later] = seconds;
    const value = spreadOf(seconds);
    return {
      ...{ name: 'watch', what: 'a watch round over 1,000 databases', against: '(servers are faked)' },
      ...{ unit: 'elapsed', value, atMost: AT_MOST_SECONDS, missed: value.median > AT_MOST_SECONDS },
      ...{ ours: value, theirs: null, load: load.highest },
      steps: { round: { first, later: spreadOf(later).median, 'MB of reports': bytes / 1e6 } },
    };
  });
}

/** One round after the other, each with what the one before left, as the workflow does it. */
function watcherOf(fixture: RepositoryFixture, names: readonly string[], archived: () => number) {
  const config = {
    ...exampleConfig({ databases: names.map((name) => databaseText(name)).join('') }),
    repository: fixture.config,
  };
  const watchLog = async ({ database }: WatchInput): Promise<LogReport> => ({
    ...{ database, at: new Date().toISOString(), heartbeat: heartbeat(archived() * SEGMENT_MS) },
    ...{ lastArchivedLog: logName(archived()), lastArchivedAt: new Date().toISOString() },
    ...{ waiting: 0, ready: [], failure: null, switched: true },
  });
  const deps: Dependencies = {
    config: { config, directory: fixture.directory, path: '/holdfast.yaml' } as Dependencies['config'],
    client: {} as Dependencies['client'],
    engines: { postgres: { watchLog } as unknown as Engine },
    ...{ logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
  const { watchHost } = createProtectionActivities(deps);
  let cursors: NonNullable<WatchHost['cursors']> = {};
  return async (): Promise<WatchReport[]> => {
    const reports: WatchReport[] = await new MockActivityEnvironment().run(watchHost, {
      host: 'db1',
      cursors,
    });
    cursors = Object.fromEntries(
      reports.flatMap(({ database, cursor }) => (cursor === undefined ? [] : [[database, cursor]])),
    );
    return reports;
  };
}

async function fill(repository: Repository, names: readonly string[], signal: AbortSignal): Promise<void> {
  const numbers = Array.from({ length: LOGS }, (_, n) => n + 1);
  await putNames(
    repository,
    names.flatMap((name) => numbers.map((n) => logKey(name, logName(n)))),
    signal,
  );
  await mapBounded(names, AT_ONCE, (database) =>
    writeManifest(repository, base('first', 1, SEGMENT_MS + 1_000, { database, stanza: database })),
  );
}
