import { expect, test } from 'vitest';
import { describeDatabase } from '../../../src/config/describe.ts';
import { desiredSchedules } from '../../../src/config/schedules.ts';
import { withTopology } from '../../../src/config/topology.ts';
import type { Topology } from '../../../src/model/topology.ts';
import { databaseText, exampleConfig } from './example.ts';

const former: Topology['former'] = [
  {
    stanza: 'shop',
    host: 'db1',
    address: { host: '127.0.0.1', port: 5432 },
    until: '2026-01-31T12:00:00Z',
    timeline: 1,
  },
];
const moved: Topology = {
  formatVersion: 1,
  database: 'shop',
  by: 'disaster/shop/20260131T120000Z',
  at: '2026-01-31T12:10:00Z',
  site: 'second',
  host: 'db2',
  address: { host: 'shop.second.internal', port: 5433 },
  stanza: 'shop-20260131t121000z',
  dataDirectory: '/production/x/data',
  socketDirectory: '/production/x/socket',
  systemUser: 'shop-data',
  systemIdentifier: '7000000000000000001',
  timeline: 2,
  former,
};

const config = exampleConfig({ databases: databaseText('shop') + databaseText('users') });

test('a database that was moved is described where it lives now, everything else as it was', () => {
  const before = structuredClone(config);
  const { config: shop, ...view } = describeDatabase(withTopology(config, [moved]), 'shop');
  expect(view).toMatchObject({ stanza: moved.stanza, former, topology: moved });
  expect(shop).toMatchObject({
    host: 'db2',
    connection: { host: 'shop.second.internal', port: 5433, user: 'holdfast', database: 'shop' },
    postgres: {
      stanza: moved.stanza,
      dataDirectory: '/production/x/data',
      socketDirectory: '/production/x/socket',
      systemUser: 'shop-data',
    },
  });
  expect(describeDatabase(withTopology(config, [moved]), 'users')).toEqual(describeDatabase(config, 'users'));
  expect(config).toEqual(before);
});

test('without a topology a database lives where the file says, and has no former place', () => {
  expect(withTopology(config, [])).toBe(config);
  expect(describeDatabase(config, 'shop')).toMatchObject({ stanza: 'shop', former: [], topology: null });
});

test('it is the same again on its own result, and one of a database that is gone changes nothing', () => {
  const once = withTopology(config, [moved]);
  expect(withTopology(once, [moved])).toEqual(once);
  expect(withTopology(config, [{ ...moved, database: 'toString' }])).toBe(config);
});

test('the watcher is that of the new host, and the old one stays only where it has another database', () => {
  const watchers = (databases: string) =>
    desiredSchedules(withTopology(exampleConfig({ databases }), [moved]))
      .map(({ workflowId }) => workflowId)
      .filter((id) => id.startsWith('log-archive-watch/'));
  expect(watchers(databaseText('shop'))).toEqual(['log-archive-watch/db2']);
  expect(watchers(databaseText('shop') + databaseText('users')).sort()).toEqual([
    'log-archive-watch/db1',
    'log-archive-watch/db2',
  ]);
});
