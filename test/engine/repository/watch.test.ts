import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { watchAll } from '../../../src/activities/watch.ts';
import type { LogReport, WatchInput } from '../../../src/engines/contract/backup.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import type { Run } from '../../../src/model/progress.ts';
import {
  acknowledge,
  readAcknowledgements,
  writeAcknowledgement,
} from '../../../src/repository/acknowledgements.ts';
import { readCatalog } from '../../../src/repository/catalog.ts';
import type { LogCursor } from '../../../src/repository/continuity/cursor.ts';
import { type LogRound, lookAtLogs } from '../../../src/repository/continuity/round.ts';
import { writeHeartbeat } from '../../../src/repository/heartbeats.ts';
import { writeManifest } from '../../../src/repository/manifests.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { databaseText, exampleConfig } from '../../unit/config/example.ts';
import {
  base,
  heartbeat,
  isoAt,
  logName,
  onTimeline,
  SEGMENT_MS,
} from '../../unit/repository/recoverability.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let fixture: RepositoryFixture;
let repository: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

const HASH = 'a'.repeat(40);
const keyOf = (database: string, segment: number, timeline = 1, archive = '15-1') => {
  const name = logName(segment, timeline);
  return `pgbackrest/archive/${database}/${archive}/${name.slice(0, 16)}/${name}-${HASH}.zst`;
};
const archive = async (database: string, segments: number[], timeline = 1, incarnation = '15-1') => {
  for (const segment of segments) await repository.put(keyOf(database, segment, timeline, incarnation), '');
};
const beat = (database: string, segment: number, timeline = 1) =>
  writeHeartbeat(repository, database, heartbeat(segment * SEGMENT_MS, timeline));
const full = (database: string, id: string, segment: number, timeline = 1) =>
  writeManifest(
    repository,
    base(id, segment, segment * SEGMENT_MS + 1_000, { ...onTimeline(timeline), database, stanza: database }),
  );
const provenBy = (segment: number) => isoAt(segment * SEGMENT_MS - 1);

/** Rounds of one database, each with what the one before left. */
function roundsOf(database: string) {
  let cursor: LogCursor | null = null;
  return async (
    options: { ready?: string[] | null; settleMs?: number } = {},
  ): Promise<LogRound<LogCursor>> => {
    const { ready = [], settleMs = 0 } = options;
    const round = await lookAtLogs(repository, database, {
      ...{ history: { stanza: database, former: [] }, cursor, ready, settleMs },
      ...{ now: new Date(), lateMs: Number.POSITIVE_INFINITY },
    });
    cursor = round.cursor;
    return round;
  };
}

test('a round sees what was archived since the one before, over folders and timelines, and measures by heartbeats', async () => {
  const look = roundsOf('shop');
  expect(await look()).toMatchObject({ cursor: null, archivedUpTo: null, recoverableAt: null });
  await archive('shop', [0xfd, 0xfe]);
  await beat('shop', 0xfd);
  expect(await look()).toMatchObject({ archivedUpTo: logName(0xfe), recoverableAt: null });
  await full('shop', 'first', 0xfd);
  await beat('shop', 0xfe);
  expect(await look()).toMatchObject({ recoverableAt: provenBy(0xfe), lost: [], inFlight: [] });
  // What is on the server only proves nothing.
  await beat('shop', 0xff);
  const waiting = await look({ ready: [logName(0xff)] });
  expect(waiting).toMatchObject({
    recoverableAt: provenBy(0xfe),
    inFlight: [{ firstMissing: logName(0xff), count: 1 }],
  });
  await archive('shop', [0xff, 0x100, 0x101]);
  await beat('shop', 0x100);
  expect(await look()).toMatchObject({
    ...{ archivedUpTo: logName(0x101), recoverableAt: provenBy(0x100) },
    ...{ timeline: 1, inFlight: [], lost: [] },
  });
  // Beside the log: its partial, a backup's label, the next timeline's history.
  const folder = `pgbackrest/archive/shop/15-1/${logName(0x101).slice(0, 16)}/`;
  await repository.put(`${folder}${logName(0x102)}.partial-${HASH}.zst`, '');
  await repository.put(`${folder}${logName(0x101)}.00000028.backup`, '');
  await repository.put('pgbackrest/archive/shop/15-1/00000002.history', '');
  await archive('shop', [0x102, 0x103], 2);
  await beat('shop', 0x103, 2);
  const promoted = await look();
  expect(promoted).toMatchObject({ timeline: 2, archivedUpTo: logName(0x103, 2), lost: [] });
  expect(promoted.recoverableAt).toBe(provenBy(0x103));
});

test('a round asks for the news alone', async () => {
  await archive('news', [1, 2, 3]);
  await full('news', 'first', 1);
  const listed: string[] = [];
  const watched: Repository = {
    ...repository,
    list: (prefix, signal, after) => {
      listed.push(after ?? prefix);
      return repository.list(prefix, signal, after);
    },
    folders: () => {
      throw new Error('everything is listed again');
    },
  };
  const options = { history: { stanza: 'news', former: [] }, ready: [], settleMs: 0, lateMs: 1e12 };
  const first = await lookAtLogs(repository, 'news', { ...options, cursor: null, now: new Date() });
  await archive('news', [4]);
  const second = await lookAtLogs(watched, 'news', { ...options, cursor: first.cursor, now: new Date() });
  expect(second.archivedUpTo).toBe(logName(4));
  expect(listed).toEqual([
    `pgbackrest/archive/news/15-1/0000000100000000/${logName(3)}/`,
    expect.stringMatching(/^log\/news\/heartbeat\/2026/),
  ]);
  expect(JSON.stringify(first.cursor).length).toBeLessThan(400);
});

test('a lost log ends what can be recovered until a base has begun behind it', async () => {
  const look = roundsOf('torn');
  await archive('torn', [1, 2, 3]);
  await full('torn', 'first', 1);
  await beat('torn', 3);
  expect(await look()).toMatchObject({ recoverableAt: provenBy(3) });
  await archive('torn', [5, 6]);
  await beat('torn', 6);
  const hole = { firstMissing: logName(4), lastMissing: logName(4), count: 1, timeline: 1 };
  // Of one look; of a server that has it; and of one that nobody could ask.
  expect(await look()).toMatchObject({ inFlight: [hole], lost: [], recoverableAt: provenBy(3) });
  expect(await look({ ready: [logName(4)] })).toMatchObject({ inFlight: [hole], lost: [] });
  expect(await look({ ready: null })).toMatchObject({ inFlight: [hole], lost: [] });
  expect(await look({ settleMs: 60_000 })).toMatchObject({ inFlight: [hole], lost: [] });
  const lost = await look();
  expect(lost).toMatchObject({
    inFlight: [],
    lost: [{ ...hole, baseAfter: null }],
    recoverableAt: provenBy(3),
  });
  expect(lost.cursor).toMatchObject({ anchored: false, seenUpTo: { number: 6 } });
  expect(await look()).toMatchObject({ inFlight: [], lost: [], recoverableAt: provenBy(3) });
  const now = new Date().toISOString();
  const times = { startedAt: now, finishedAt: now };
  await writeManifest(
    repository,
    base('second', 5, 5 * SEGMENT_MS, { database: 'torn', stanza: 'torn', ...times }),
  );
  const again = await look();
  expect(again.cursor?.anchored).toBe(true);
  expect(Date.parse(again.recoverableAt ?? '')).toBe(Date.parse(now) + 1_000);

  const gaps = async () =>
    (await readCatalog(repository, 'torn', { stanza: 'torn', former: [], now: new Date() })).gaps;
  expect(await gaps()).toMatchObject([{ ...hole, baseAfter: 'second' }]);
  const word = { by: 'ana', at: new Date().toISOString(), reason: 'INC-42' };
  await writeAcknowledgement(repository, { formatVersion: 1, database: 'torn', ...hole, ...word });
  expect(await gaps()).toMatchObject([{ ...hole, acknowledged: word }]);
  const known = await readAcknowledgements(repository, 'torn');
  expect(acknowledge(lost.lost, known)).toMatchObject([{ acknowledged: word }]);
});

test('a log that is removed by hand behind the last round is for the whole listing to see', async () => {
  const look = roundsOf('holed');
  await archive('holed', [1, 2, 3, 4, 5]);
  await full('holed', 'first', 1);
  await look();
  await repository.remove(keyOf('holed', 3));
  expect(await look()).toMatchObject({ lost: [], inFlight: [] });
  const options = { stanza: 'holed', former: [], now: new Date() };
  const catalog = await readCatalog(repository, 'holed', options);
  expect(catalog.gaps).toMatchObject([{ firstMissing: logName(3), count: 1, baseAfter: null }]);
});

test('a cluster that was replaced is read from the beginning', async () => {
  const look = roundsOf('renewed');
  await archive('renewed', [200, 201]);
  await full('renewed', 'old', 200);
  expect(await look()).toMatchObject({ archivedUpTo: logName(201) });
  await archive('renewed', [1, 2], 1, '16-2');
  expect(await look()).toMatchObject({ archivedUpTo: logName(2), cursor: { archive: '16-2' } });
});

/** A host of databases; the engine is a fake, the repository is not. */
function hostOf(
  names: string[],
  watchLog: (input: WatchInput, run: Run) => Promise<LogReport>,
): Dependencies {
  const config = exampleConfig({ databases: names.map((name) => databaseText(name)).join('') });
  if (config.databases.legacy !== undefined) config.databases.legacy.engine = 'mysql';
  return {
    config: { config, directory: '/', path: '/holdfast.yaml' } as Dependencies['config'],
    client: {} as Dependencies['client'],
    engines: { postgres: { logs: { kind: 'archived', watch: watchLog } } as unknown as Engine },
    ...{ logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
}
const RUN: Run = { signal: new AbortController().signal, progress: () => {} };
const quiet = (database: string, changes: Partial<LogReport> = {}): LogReport => ({
  ...{ database, at: new Date().toISOString(), heartbeat: null, lastArchivedLog: null },
  ...{ lastArchivedAt: new Date().toISOString(), waiting: 0, ready: [], failure: null, switched: false },
  ...changes,
});

test('one server that hangs, one that is away and one that cannot be watched do not stop the others', async () => {
  const deps = hostOf(['hangs', 'legacy', 'away', 'well'], async ({ database }) => {
    if (database === 'hangs') return new Promise(() => {});
    if (database === 'away') throw new Error('nobody answers');
    return quiet(database);
  });
  await archive('away', [1, 2]);
  await full('away', 'first', 1);
  await beat('away', 2);
  const limits = { serverMs: 50, shippingMs: 50, repositoryMs: 60_000 };
  const reports = await watchAll(deps, repository, { host: 'db1', limits }, RUN);
  expect(reports.map(({ database, problem }) => [database, problem])).toEqual([
    ['hangs', 'asking the server of hangs took longer than 0.05 s'],
    ['legacy', 'this worker has no engine for mysql'],
    [
      'away',
      expect.stringMatching(/^nobody answers; if it were lost now, the last .* would be gone, of an RPO of/),
    ],
    ['well', null],
  ]);
  expect(reports[2]).toMatchObject({ recoverableAt: provenBy(2), logs: { archivedUpTo: logName(2) } });
});

test('an archiver that fails is a problem in the first round, long before the RPO is broken', async () => {
  const failure = {
    at: '2026-01-31T14:05:00Z',
    log: logName(3),
    message: `exit code 82: ${'x'.repeat(900)}`,
  };
  const deps = hostOf(['fails'], async ({ database }) => quiet(database, { failure }));
  const [report] = await watchAll(deps, repository, { host: 'db1' }, RUN);
  expect(report?.problem).toMatch(/^archiving fails since 2026-01-31T14:05:00Z: exit code 82: x+…$/);
  expect(report?.problem?.length).toBeLessThan(410);
  expect(JSON.stringify(report).length).toBeLessThan(1_000);
});

test('a repository that is away is waited for once in a round', async () => {
  const databases = Array.from({ length: 40 }, (_, n) => `one${n}`);
  const deps = hostOf(databases, async ({ database }) => quiet(database));
  const nowhere = { ...fixture.config, endpoint: 'https://127.0.0.1:1' };
  const options = { use: 'backup' as const, baseDirectory: fixture.directory, patienceMs: 50 };
  const away = await openRepository(nowhere, options);
  let asked = 0;
  const counted: Repository = {
    ...away,
    list: (...given) => {
      asked += 1;
      return away.list(...given);
    },
  };
  const reports = await watchAll(deps, counted, { host: 'db1' }, RUN);
  away.close();
  expect(reports).toHaveLength(40);
  for (const { problem } of reports) expect(problem).toMatch(/does not answer|reach/);
  expect(asked).toBeLessThanOrEqual(16);
});
