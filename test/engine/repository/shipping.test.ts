import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { watchAll } from '../../../src/activities/watch.ts';
import { shipping } from '../../../src/engines/mysql/log.ts';
import type { Run } from '../../../src/model/progress.ts';
import { chooseBackup } from '../../../src/repository/choice.ts';
import { openRepository } from '../../../src/repository/repository.ts';
import { readRetention } from '../../../src/repository/retention.ts';
import { listShippedLogs, readLogRecord } from '../../../src/repository/shipped/logs.ts';
import { generationOf } from '../../../src/repository/shipped/name.ts';
import { quietly, SERIES_WITH_CLIENTS } from '../mysql-server.ts';
import { collect } from './fixture.ts';
import { type ShippingFixture, startShipping } from './shipping-fixture.ts';

const DAY = 86_400_000;

describe.each(SERIES_WITH_CLIENTS)('logs of %s in the repository', (series) => {
  let shop: ShippingFixture;
  beforeAll(async () => {
    shop = await startShipping(series);
  });
  afterAll(() => shop?.end());

  const latest = async () =>
    chooseBackup({ ...(await shop.known()), target: { latest: true }, now: new Date() });

  test('without a base the history begins with the newest closed log, and every later one follows', async () => {
    await shop.insert(1);
    await shop.server.query('FLUSH BINARY LOGS');
    await shop.insert(2);
    const report = await shop.round();
    const [first, ...more] = await shop.names();
    expect(more).toEqual([]);
    expect(report).toMatchObject({
      ...{ database: 'shop', failure: null, waiting: 0, ready: [], heartbeat: null, switched: false },
      lastArchivedLog: first,
    });
    expect(Math.abs(Date.parse(report.at) - Date.parse(report.lastArchivedAt ?? ''))).toBeLessThan(30_000);
    await shop.insert(3);
    await shop.round();
    expect(await shop.names()).toHaveLength(2);
    // Nothing is shipped twice.
    const before = await collect(shop.repository.versions('log/shop/'));
    expect(await shop.ship()).toMatchObject({ waiting: 0 });
    expect(await collect(shop.repository.versions('log/shop/'))).toEqual(before);
  });

  test('a log comes back byte for byte, and its record and objects are locked for as long as they are needed', async () => {
    await shop.insert(10, 11, 12);
    await shop.round();
    const name = (await shop.names()).at(-1) as string;
    const content = await shop.contentOf(name);
    expect(content.equals(await readFile(join(shop.server.dataDirectory, name)))).toBe(true);
    const log = (await listShippedLogs(shop.repository, 'shop')).find((one) => one.name === name);
    const record = await readLogRecord(shop.repository, log as NonNullable<typeof log>);
    expect(record).toMatchObject({ formatVersion: 1, database: 'shop', name, transactions: 3, notices: [] });
    // The window, the age of the base that it begins with, and a day to make one.
    const until = Date.now() + 9 * DAY;
    expect(Math.abs(Date.parse(record.lockedUntil ?? '') - until)).toBeLessThan(60_000);
    for (const { key, versionId } of [
      { key: record.objects[0]?.key ?? '', versionId: record.objects[0]?.versionId ?? null },
      { key: log?.key ?? '', versionId: null },
    ]) {
      const { lock } = await readRetention(shop.repository, { key, versionId });
      expect(Math.abs(Date.parse(lock?.until ?? '') - until)).toBeLessThan(60_000);
    }
  });

  test('from a base every moment up to the end of the last log can be recovered', async () => {
    const base = await shop.backup('base');
    await shop.insert(20);
    // The log that it begins in is still open.
    expect(await latest()).toMatchObject({ manifest: { id: 'base' }, segments: 0, reachable: 'yes' });
    await shop.round();
    const { intervals, gaps, lastRecoverableAt } = await shop.catalog();
    expect(gaps).toEqual([]);
    expect(intervals).toHaveLength(1);
    expect(intervals[0]?.from).toBe(base.positions.at);
    const last = (await listShippedLogs(shop.repository, 'shop'))
      .toSorted((a, b) => a.number - b.number)
      .at(-1);
    const proven = Math.max(Date.parse(base.positions.at ?? ''), Date.parse(last?.lastAt ?? '') - 1);
    expect(Date.parse(lastRecoverableAt ?? '')).toBe(proven);
    expect(await latest()).toMatchObject({ manifest: { id: 'base' }, lastLog: last?.name });
  });

  test('a server that was stopped, or killed in the middle of a transaction, goes on in the same history', async () => {
    await shop.insert(30);
    await shop.server.restart();
    await shop.insert(31);
    const open = await shop.server.connect('shop');
    await open.query('START TRANSACTION');
    await open.query('INSERT INTO t VALUES (32)');
    await shop.server.kill();
    await open.close();
    await shop.server.restart();
    await shop.insert(33);
    expect(await shop.round()).toMatchObject({ failure: null, waiting: 0 });
    expect((await shop.catalog()).gaps).toEqual([]);
    const lineages = new Set((await listShippedLogs(shop.repository, 'shop')).map(({ lineage }) => lineage));
    expect(lineages.size).toBe(1);
  });

  test('a log that somebody deleted from the repository is a gap, until it is brought again', async () => {
    await shop.insert(40);
    await shop.round();
    await shop.insert(41);
    await shop.round();
    const name = (await shop.names()).at(-2);
    const log = (await listShippedLogs(shop.repository, 'shop')).find((one) => one.name === name);
    await shop.repository.remove(log?.key ?? '');
    expect((await shop.catalog()).gaps).toMatchObject([{ firstMissing: name, lastMissing: name, count: 1 }]);
    await expect(latest()).rejects.toMatchObject({ type: 'LogGap' });
    // What is there is listed anew every ten minutes; in between only what comes behind it.
    await shop.round();
    expect((await shop.catalog()).gaps).toHaveLength(1);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 601_000 });
    try {
      await shop.round();
    } finally {
      vi.useRealTimers();
    }
    expect((await shop.catalog()).gaps).toEqual([]);
    const there = await collect(shop.repository.list('log/shop/'));
    await shop.ship();
    expect(await collect(shop.repository.list('log/shop/'))).toEqual(there);
  });

  test('a round in which nothing is new asks twice, also where another worker has the next one', async () => {
    const asked = vi.spyOn(shop.repository.connection, 'request');
    let cursors = {};
    const round = async (watch: typeof watchAll) => {
      asked.mockClear();
      const [report] = await watch(shop.deps, shop.repository, { host: 'db1', cursors }, quietly);
      cursors = JSON.parse(JSON.stringify({ shop: report?.cursor }));
      expect(report).toMatchObject({ waiting: 0, problem: null, logs: { anchored: true } });
      return asked.mock.calls.length;
    };
    await round(watchAll);
    expect(await round(watchAll)).toBe(2);
    // What was shipped in the round itself needs no further look either.
    await shop.insert(45);
    await shop.server.query('FLUSH BINARY LOGS');
    expect(await round(watchAll)).toBe(2);
    expect(await round(watchAll)).toBe(2);
    vi.resetModules();
    const other = await import('../../../src/activities/watch.ts');
    expect(await round(other.watchAll)).toBe(2);
    expect(JSON.stringify(cursors).length).toBeLessThan(1_000);
    asked.mockRestore();
  });

  test('two watchers at once ship each log once', async () => {
    await shop.insert(50);
    await shop.server.query('FLUSH BINARY LOGS');
    const names = new Set(await shop.names());
    const both = [1, 2].map(() => shop.ship());
    for (const report of await Promise.all(both)) expect(report).toMatchObject({ failure: null, waiting: 0 });
    const all = await shop.names();
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBe(names.size + 1);
    const content = await shop.contentOf(all.at(-1) as string);
    expect(content.equals(await readFile(join(shop.server.dataDirectory, all.at(-1) as string)))).toBe(true);
  });

  test('a round that is broken off leaves nothing that counts, and no upload', async () => {
    await shop.insert(60);
    await shop.server.query('FLUSH BINARY LOGS');
    const before = await shop.names();
    const stop = new AbortController();
    const run: Run = { signal: stop.signal, progress: () => stop.abort(new Error('the worker is going')) };
    await expect(watchAll(shop.deps, shop.repository, { host: 'db1' }, run)).rejects.toThrow(
      'the worker is going',
    );
    expect(await shop.names()).toEqual(before);
    expect(await shop.repository.uploads('log/shop/')).toEqual([]);
    expect(await shop.ship()).toMatchObject({ waiting: 0 });
    expect(await shop.names()).toHaveLength(before.length + 1);
  });

  test('a log that cannot be read through is no log: nothing is stored, and it is said', async () => {
    await shop.insert(70);
    await shop.server.query('FLUSH BINARY LOGS');
    const before = await collect(shop.repository.versions('log/shop/'));
    const damaged = {
      ...shop.deps.engines.mysql,
      logs: {
        ...{ kind: 'shipped', ...shipping },
        summarize: () => Promise.reject(new Error('the log is damaged')),
      },
    };
    const deps = { ...shop.deps, engines: { mysql: damaged } } as typeof shop.deps;
    const report = await shop.ship({ deps });
    expect(report).toMatchObject({ waiting: 1, failure: { message: 'the log is damaged' } });
    expect(report.ready).toEqual([report.failure?.log]);
    expect(await collect(shop.repository.versions('log/shop/'))).toEqual(before);
    expect(await shop.ship()).toMatchObject({ waiting: 0 });
  });

  test('a log that was removed from the server before it was shipped is a gap that is told twice and answered by a base', async () => {
    await shop.insert(80);
    await shop.server.query('FLUSH BINARY LOGS');
    await shop.insert(81);
    await shop.server.query('FLUSH BINARY LOGS');
    const lost = (await shop.server.query<{ Log_name: string }>('SHOW BINARY LOGS')).at(-3)?.Log_name;
    const current = (await shop.server.query<{ Log_name: string }>('SHOW BINARY LOGS')).at(-2)?.Log_name;
    await expect
      .poll(async () => {
        await shop.server.query(`PURGE BINARY LOGS TO '${current}'`);
        return (await shop.server.query<{ Log_name: string }>('SHOW BINARY LOGS'))[0]?.Log_name;
      })
      .toBe(current);
    const watch = (cursors = {}) => watchAll(shop.deps, shop.repository, { host: 'db1', cursors }, quietly);
    const [first] = await watch();
    expect(first).toMatchObject({ database: 'shop', logs: { bases: 'logical', anchored: false, lost: [] } });
    const [second] = await watch({ shop: first?.cursor });
    const hole = { firstMissing: lost, lastMissing: lost, count: 1, baseAfter: null };
    expect(second?.logs?.lost).toMatchObject([hole]);
    await shop.backup('again');
    const [third] = await watch({ shop: second?.cursor });
    expect(third?.logs).toMatchObject({ anchored: true, lost: [{ ...hole, baseAfter: 'again' }] });
    expect(JSON.stringify(third).length).toBeLessThan(3_000);
    expect(JSON.stringify(third)).not.toMatch(/pg_stat|physical|WAL|segment/i);
  });

  test('after RESET MASTER the same names come again in a history of their own, also where logs are idle', async () => {
    await shop.round();
    const before = (await listShippedLogs(shop.repository, 'shop'))[0]?.lineage ?? '';
    // Of a few idle logs each has the size of another: sizes tell nothing. Beginnings do, in whole seconds.
    await sleep(1_100);
    await shop.server.query('RESET MASTER');
    const { number = 0 } =
      (await listShippedLogs(shop.repository, 'shop')).toSorted((a, b) => b.number - a.number)[0] ?? {};
    for (let at = 0; at <= number; at += 1) await shop.server.query('FLUSH BINARY LOGS');
    const report = await shop.round();
    expect(report).toMatchObject({ failure: null, waiting: 0 });
    const all = await listShippedLogs(shop.repository, 'shop');
    const anew = all.filter(({ lineage }) => lineage !== before);
    expect(new Set(anew.map(({ lineage }) => generationOf(lineage)))).toEqual(
      new Set([generationOf(before) + 1]),
    );
    expect(anew.map(({ number }) => number).toSorted((a, b) => a - b)[0]).toBe(1);
    expect((await shop.catalog()).gaps).toMatchObject([{}, { firstMissing: 'binlog.000001', count: 0 }]);
    await expect(latest()).rejects.toMatchObject({
      ...{ type: 'LogGap', message: expect.stringContaining('counts its logs anew') },
    });
    await shop.backup('fresh');
    expect(await latest()).toMatchObject({ manifest: { id: 'fresh' } });
    await shop.insert(90);
    await shop.round();
    expect(await latest()).toMatchObject({ manifest: { id: 'fresh' }, segments: 1 });
  });
});

describe.each(SERIES_WITH_CLIENTS)('logs of %s that are read through the server', (series) => {
  let shop: ShippingFixture;
  beforeAll(async () => {
    shop = await startShipping(series, { directory: false });
  });
  afterAll(() => shop?.end());

  test('come into the repository as those from their folder do', async () => {
    await shop.backup('base');
    await shop.insert(1, 2);
    expect(await shop.round()).toMatchObject({ failure: null, waiting: 0 });
    const [name] = await shop.names();
    const content = await shop.contentOf(name as string);
    expect(content.equals(await readFile(join(shop.server.dataDirectory, name as string)))).toBe(true);
    // The same log is known again by its beginning.
    await shop.insert(3);
    await shop.round();
    expect(await shop.names()).toHaveLength(2);
    expect((await shop.catalog()).gaps).toEqual([]);
  });

  test('wait on the server while the repository is away, and come then', async () => {
    await shop.insert(10);
    await shop.server.query('FLUSH BINARY LOGS');
    const nowhere = { ...shop.storage.config, endpoint: 'https://127.0.0.1:1' };
    const away = await openRepository(nowhere, {
      ...{ use: 'backup', baseDirectory: shop.storage.directory, patienceMs: 50 },
    });
    const [report] = await watchAll(shop.deps, away, { host: 'db1' }, quietly);
    away.close();
    expect(report).toMatchObject({
      database: 'shop',
      problem: expect.stringMatching(/does not answer|reach/),
    });
    const before = await shop.names();
    expect(await shop.ship()).toMatchObject({
      ...{ failure: null, waiting: 0 },
    });
    expect((await shop.names()).length).toBe(before.length + 1);
  });

  test('of a server that is away what could be recovered is known all the same', async () => {
    const { lastRecoverableAt } = await shop.catalog();
    await shop.server.stop();
    const [report] = await watchAll(shop.deps, shop.repository, { host: 'db1' }, quietly);
    expect(report).toMatchObject({ recoverableAt: lastRecoverableAt, logs: { anchored: true } });
    expect(report?.problem).toMatch(/does not answer|cannot be reached|refused|connect/i);
    await shop.server.restart();
  });
});
