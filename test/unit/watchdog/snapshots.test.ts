import { expect, test } from 'vitest';
import { describeDatabase } from '../../../src/config/describe.ts';
import type { Catalog, CatalogBackup } from '../../../src/model/backup.ts';
import { snapshotProblems } from '../../../src/watchdog/snapshots.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const shopWith = (more: string) =>
  describeDatabase(exampleConfig({ databases: databaseText('shop', more) }), 'shop');

const snapshot = (finishedAt: string): CatalogBackup => ({
  ...{ id: 'x', tier: 'snapshot', kind: 'full', startedAt: finishedAt, finishedAt, sizeBytes: 1 },
  ...{ dependsOn: [], lockedUntil: null, verified: null },
});

function look(now: string, taken: string[], since: string | null = null, database = shopWith('')) {
  const backups = taken.map(snapshot);
  const catalog: Catalog = {
    ...{ database: 'shop', backups, intervals: [], gaps: [] },
    ...{ lastRecoverableAt: null, rpoSeconds: null },
  };
  const made = since === null ? null : Date.parse(since);
  return snapshotProblems(database, catalog, { since: made, now: new Date(now) });
}
const said = (...given: Parameters<typeof look>) =>
  look(...given).map(({ severity, what }) => `${severity}: ${what}`);

test('a month that is almost over without a snapshot, then one that is over', () => {
  const newest = ['2026-10-04T20:00:00Z', '2026-09-06T20:00:00Z'];
  expect(said('2026-11-27T23:59:59Z', newest)).toEqual([]);
  expect(said('2026-11-28T00:00:00Z', newest)).toEqual([
    'warning: shop has no snapshot of 2026-11 yet, and the month is almost over: the newest is of 2026-10',
  ]);
  expect(said('2026-12-01T00:00:00Z', newest)).toEqual([
    'critical: shop has no snapshot of 2026-11: the newest is of 2026-10',
  ]);
  expect(look('2026-12-01T00:00:00Z', newest)[0]).toMatchObject({
    ...{ key: 'overdue/shop/snapshot', since: '2026-11-28T00:00:00.000Z' },
  });
});

test('a snapshot of this month is one, whatever the last month has', () => {
  expect(said('2026-12-30T00:00:00Z', ['2026-12-02T02:00:00Z', '2026-01-02T02:00:00Z'])).toEqual([]);
});

test('over the end of a year', () => {
  expect(said('2027-01-02T00:00:00Z', ['2026-12-02T02:00:00Z'])).toEqual([]);
  expect(said('2027-01-29T00:00:00Z', ['2026-12-02T02:00:00Z'])).toHaveLength(1);
});

test('a database that never had one is due by its schedule, with time to verify a backup', () => {
  expect(said('2026-11-30T00:00:00Z', [], '2026-11-29T00:00:00Z')).toEqual([]);
  expect(said('2026-12-02T00:00:00Z', [], '2026-11-29T00:00:00Z')).toEqual([]);
  expect(said('2026-12-02T00:00:00Z', [], '2026-11-12T00:00:00Z')).toEqual([
    'critical: shop has no snapshot of 2026-11: there is none',
  ]);
  expect(said('2026-12-02T00:00:00Z', [])).toEqual([]);
});

test('where snapshots are off none is missed', () => {
  expect(
    said('2026-12-02T00:00:00Z', [], '2026-01-01T00:00:00Z', shopWith('tiers: {snapshot: off}')),
  ).toEqual([]);
});
