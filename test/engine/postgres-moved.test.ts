import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { createPlanningActivities } from '../../src/activities/planning.ts';
import { createProtectionActivities } from '../../src/activities/protection.ts';
import type { Base } from '../../src/activities/recovery-types.ts';
import { findAccident } from '../../src/client/find.ts';
import { describeDatabase } from '../../src/config/describe.ts';
import { withTopology } from '../../src/config/topology.ts';
import type { TakenOver } from '../../src/engines/contract/restore.ts';
import { closeLog } from '../../src/engines/postgres/log.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { takeOver } from '../../src/engines/postgres/takeover/take-over.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { Target } from '../../src/model/target.ts';
import type { Topology } from '../../src/model/topology.ts';
import { readCatalog, readRecoverability } from '../../src/repository/catalog.ts';
import { writeHeartbeat } from '../../src/repository/heartbeats.ts';
import { listArchivedLogs } from '../../src/repository/logs.ts';
import { lossOf } from '../../src/repository/loss.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import {
  quietly,
  type Recovery,
  replayInput,
  restoreInput,
  startRecovery,
} from './postgres-recovery-fixture.ts';
import { shopOf } from './postgres-shop.ts';
import { restoreAndMove, takeOverInput } from './postgres-takeover-fixture.ts';

const STANZA = 'shop-moved';

let recovery: Recovery;
let repository: Repository;
/** as the configuration has it, and where the database lives since */
let before: Dependencies;
let since: Dependencies;
let taken: TakenOver;
const lsn = { atOldPlace: '', atNewPlace: '' };

const rows = (access?: ServerAccess) => recovery.value('SELECT count(*) FROM public.orders', access);
const view = ({ config }: Dependencies) => describeDatabase(config.config, 'shop');
const known = (deps: Dependencies) => readRecoverability(repository, 'shop', view(deps));

async function backUp(deps: Dependencies): Promise<string> {
  const { takePhysicalBackup } = createProtectionActivities(deps);
  const input = { database: 'shop', kind: 'full' as const, madeBy: { workflowId: 'w', runId: 'r' } };
  return ((await new MockActivityEnvironment().run(takePhysicalBackup, input)) as { id: string }).id;
}

/** Closes the log with a heartbeat, and waits until it is in the stanza. */
async function archive(stanza: string, access: ServerAccess): Promise<string> {
  const closed = await closeLog(access, quietly);
  await writeHeartbeat(repository, 'shop', closed);
  const isThere = async () =>
    (await listArchivedLogs(repository, stanza)).some(({ name }) => name === closed.log);
  while (!(await isThere())) await sleep(100);
  return closed.log;
}

async function choose(deps: Dependencies, target: Target): Promise<Base> {
  const { chooseBase } = createPlanningActivities(deps);
  const input = { database: 'shop', target, tables: null, preferred: null };
  return (await new MockActivityEnvironment().run(chooseBase, input)) as Base;
}

async function rowsAt(id: string, base: Base, target: Target): Promise<string> {
  const { stanza, timeline, lastLog, backup } = base;
  const place = await recovery.provision(id);
  const where = stanza === undefined ? {} : { stanza };
  await restore({ ...restoreInput(recovery, place, backup), ...where }, quietly);
  const input = replayInput(recovery, place, target, { timeline, lastLog, ...where });
  const { access } = await replay(input, quietly);
  const found = await rows(access);
  await recovery.remove(id);
  return found;
}

beforeAll(async () => {
  recovery = await startRecovery();
  const shop = await shopOf(recovery);
  before = shop.deps;
  const { config, directory } = shop.loaded;
  repository = await openRepository(config.repository, { use: 'backup', baseDirectory: directory });
  const old = recovery.production.access;
  await recovery.sql('CREATE TABLE public.orders (id int PRIMARY KEY)');
  await recovery.sql('INSERT INTO public.orders SELECT generate_series(1, 100)');
  const backup = await backUp(before);
  lsn.atOldPlace = await recovery.value('SELECT pg_current_wal_lsn()');
  await recovery.sql('INSERT INTO public.orders SELECT generate_series(101, 200)');
  const lastLog = await archive('shop', old);

  const { moved } = await restoreAndMove(recovery, 'moved', backup, { latest: true }, { lastLog });
  const input = await takeOverInput(recovery, moved, { stanza: STANZA });
  taken = await takeOver(input, quietly);
  const at = new Date().toISOString();
  const topology: Topology = {
    ...{ formatVersion: 1, database: 'shop', by: 'disaster/shop/x', at, site: 'here', host: 'db1' },
    ...{ address: { host: '127.0.0.1', port: input.server.port }, stanza: STANZA },
    ...{ dataDirectory: taken.dataDirectory, socketDirectory: taken.socketDirectory },
    ...{ systemUser: 'postgres', systemIdentifier: taken.systemIdentifier, timeline: taken.timeline },
    former: [
      {
        ...{ stanza: 'shop', host: 'db1', address: { host: old.host, port: old.port } },
        ...{ until: at, timeline: 1 },
      },
    ],
  };
  since = { ...before, config: { ...before.config, config: withTopology(config, [topology]) } };
}, 180_000);

afterAll(async () => {
  repository?.close();
  await recovery?.end();
});

it('before its first backup at the new place a moved database says that nothing of that can be had', async () => {
  await recovery.sql('INSERT INTO public.orders SELECT generate_series(201, 300)', taken.access);
  await archive(STANZA, taken.access);
  const base = await choose(since, { latest: true });
  expect(base).toMatchObject({ stanza: 'shop', timeline: 1 });
  expect(base.notices).toContainEqual(expect.stringContaining('the new stanza has no base yet'));
  const loss = lossOf(await known(since), { now: new Date() });
  expect(loss.transactions?.lost).toBeGreaterThan(0);
});

it('after it the history spans both places, and the old server that goes on is not of it', async () => {
  const first = await backUp(since);
  lsn.atNewPlace = await recovery.value('SELECT pg_current_wal_lsn()', taken.access);
  await recovery.sql('DELETE FROM public.orders WHERE id <= 50', taken.access);
  await archive(STANZA, taken.access);

  // The old server is there again, archives, and is backed up by a worker that does not know better.
  await recovery.sql('DELETE FROM public.orders');
  const foreign = await archive('shop', recovery.production.access);
  const left = await backUp(before);

  const { segments } = await known(since);
  expect(segments.map(({ name }) => name)).not.toContain(foreign);
  const catalog = await readCatalog(repository, 'shop', { ...view(since), now: new Date() });
  expect(catalog.backups.map(({ id }) => id)).toContain(first);
  expect(catalog.backups.map(({ id }) => id)).not.toContain(left);
  expect(catalog.backups).toHaveLength(2);
  expect(catalog.intervals).toHaveLength(2);
  expect(catalog.gaps).toEqual([]);

  const latest = { latest: true } as const;
  const base = await choose(since, latest);
  expect(base).toMatchObject({ backup: first, stanza: STANZA, timeline: 2 });
  expect(base.notices).not.toContainEqual(expect.stringContaining('the new stanza'));
  expect(await rowsAt('latest', base, latest)).toBe('250');
  const loss = lossOf(await known(since), { now: new Date() });
  expect(loss.transactions).toMatchObject({ lost: 0 });
});

it('it is recovered to a position of either place', async () => {
  const old = { lsn: lsn.atOldPlace };
  const base = await choose(since, old);
  expect(base).toMatchObject({ stanza: 'shop', timeline: 1 });
  expect(await rowsAt('before', base, old)).toBe('100');
  const next = { lsn: lsn.atNewPlace };
  const later = await choose(since, next);
  expect(later).toMatchObject({ stanza: STANZA, timeline: 2 });
  expect(await rowsAt('after', later, next)).toBe('300');
});

it('an accident is found in the logs of the place where it happened', async () => {
  const moved = Date.parse(view(since).former[0]?.until as string);
  const query = { table: 'public.orders', limit: 5, minRows: 1 };
  const find = (from: number, until: number) =>
    findAccident(
      since.config,
      view(since),
      { ...query, since: new Date(from), until: new Date(until) },
      quietly,
    );
  const both = await find(moved - 3_600_000, Date.now());
  expect(both.candidates).toMatchObject([{ deleted: 50 }]);
  expect(both.notices).toContainEqual(expect.stringContaining('the database was moved at'));
  const earlier = await find(moved - 3_600_000, moved);
  expect(earlier.candidates).toEqual([]);
  expect(earlier.searched.logs).toBeGreaterThan(0);
});
