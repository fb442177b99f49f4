import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { endShipments } from '../../../src/activities/shipments.ts';
import { watchAll } from '../../../src/activities/watch.ts';
import type { WatchReport } from '../../../src/activities/watch-report.ts';
import type { DatabaseConfig } from '../../../src/config/schema.ts';
import type { Run } from '../../../src/model/progress.ts';
import { listShippedLogs, readLogRecord } from '../../../src/repository/shipped/logs.ts';
import { type MysqlServer, quietly, startMysql } from '../mysql-server.ts';
import { collect } from './fixture.ts';
import { type NarrowWay, startNarrowWay } from './narrow-way.ts';
import { type ShippingFixture, startShipping } from './shipping-fixture.ts';

let shop: ShippingFixture;
let big: MysqlServer;
let way: NarrowWay;
let deps: Dependencies;
let cursors: Record<string, NonNullable<WatchReport['cursor']>> = {};

beforeAll(async () => {
  shop = await startShipping('mariadb-10.11');
  big = await startMysql({ series: 'mariadb-10.11' });
  await big.run(['CREATE DATABASE big', 'CREATE TABLE big.t (noise BLOB)']);
  way = await startNarrowWay(shop.storage.config.endpoint as string);
  const { config } = shop.deps.config;
  const other: DatabaseConfig = structuredClone(config.databases.shop as DatabaseConfig);
  Object.assign(other.connection, { host: big.directory, port: big.port, database: 'big' });
  Object.assign(other, { mysql: { logDirectory: big.dataDirectory } });
  // Nothing is closed but by the test.
  for (const { objectives } of [other, config.databases.shop as DatabaseConfig])
    Object.assign(objectives ?? {}, { rpo: '1h' });
  await shop.backup('base', { database: 'big', server: big });
  await shop.backup('base');
  deps = {
    ...shop.deps,
    config: {
      ...shop.deps.config,
      config: {
        ...{ ...config, databases: { big: other, ...config.databases } },
        repository: { ...shop.storage.config, endpoint: way.endpoint },
      },
    },
  };
});
afterEach(() => way.open());
afterAll(async () => {
  await endShipments(new Error('the test is over'));
  await way?.end();
  await big?.end();
  await shop?.end();
});

/** A round of the host's watch as its workflow does it, which waits for no log for longer than a moment. */
async function round(run: Run = quietly): Promise<{ big: WatchReport; shop: WatchReport }> {
  const limits = { serverMs: 20_000, shippingMs: 200, repositoryMs: 60_000 };
  const reports = await watchAll(deps, shop.repository, { host: 'db1', cursors, limits }, run);
  cursors = Object.fromEntries(
    reports.flatMap(({ database, cursor }) => (cursor ? [[database, cursor]] : [])),
  );
  const [first, second] = reports as [WatchReport, WatchReport];
  return { big: first, shop: second };
}

/** A log of some megabytes that do not compress; its name. */
async function closeLargeLog(): Promise<string> {
  await big.query('INSERT INTO big.t SELECT RANDOM_BYTES(1024) FROM big.seq_1_to_6000');
  await big.query('FLUSH BINARY LOGS');
  return (await big.query<{ Log_name: string }>('SHOW BINARY LOGS')).at(-2)?.Log_name as string;
}

const closeSmallLog = async (id: number) => {
  await shop.insert(id);
  await shop.server.query('FLUSH BINARY LOGS');
  return (await shop.server.query<{ Log_name: string }>('SHOW BINARY LOGS')).at(-2)?.Log_name;
};

const keysOf = async (log: string) =>
  (await collect(shop.repository.versions('log/big/'))).filter(({ key }) => key.includes(`/${log}/`));

test('a log that takes longer than a round holds up no other database, and is not begun again', async () => {
  way.close();
  const large = await closeLargeLog();
  for (const id of [1, 2, 3]) {
    const small = await closeSmallLog(id);
    await expect
      .poll(() => round(), { timeout: 60_000 })
      .toMatchObject({
        big: { shipping: large, waiting: id },
        shop: { lastArchivedLog: small, waiting: 0, problem: null },
      });
    await expect.poll(() => way.stuck()).toBe(1);
    await big.query('FLUSH BINARY LOGS');
  }
  expect(await keysOf(large)).toEqual([]);
  way.open();
  await expect.poll(() => round(), { timeout: 60_000 }).toMatchObject({ big: { waiting: 0, problem: null } });
  // One attempt's object, and its record.
  expect((await keysOf(large)).map(({ key }) => key.split('.').at(-1)).sort()).toEqual(['json', 'zst']);
  const log = (await listShippedLogs(shop.repository, 'big')).find(({ name }) => name === large);
  const record = await readLogRecord(shop.repository, log as NonNullable<typeof log>);
  const { length } = await readFile(join(big.dataDirectory, large));
  expect(record.sizeBytes).toBe(length);
});

test('where a round is cancelled, or the worker ends between two of them, it ends too, and is begun again', async () => {
  way.close();
  const large = await closeLargeLog();
  const nothingLeft = async () => {
    await expect.poll(() => way.stuck()).toBe(0);
    expect(await keysOf(large)).toEqual([]);
    expect(await shop.repository.uploads('log/big/')).toEqual([]);
  };
  expect((await round()).big).toMatchObject({ shipping: large, waiting: 1 });
  await expect.poll(() => way.stuck()).toBe(1);
  const stop = new AbortController();
  const run: Run = { signal: stop.signal, progress: () => stop.abort(new Error('cancelled')) };
  await expect(round(run)).rejects.toThrow('cancelled');
  await nothingLeft();

  expect((await round()).big).toMatchObject({ shipping: large, waiting: 1 });
  await expect.poll(() => way.stuck()).toBe(1);
  await endShipments(new Error('the worker is ending'));
  await nothingLeft();

  way.open();
  await expect.poll(() => round(), { timeout: 60_000 }).toMatchObject({ big: { waiting: 0, problem: null } });
  expect(await keysOf(large)).toHaveLength(2);
});
