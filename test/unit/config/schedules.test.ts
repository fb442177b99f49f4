import { expect, test } from 'vitest';
import { desiredSchedules } from '../../../src/config/schedules.ts';
import { INPUTS } from '../../../src/model/input.ts';
import { databaseText, exampleConfig } from './example.ts';

const ids = (databases: string) => desiredSchedules(exampleConfig({ databases })).map(({ id }) => id);

test('every tier of every database has its schedule, each watched host one, and there are a reaper and a watchdog', () => {
  expect(ids(databaseText('shop') + databaseText('users') + databaseText('old', '', 'db2'))).toEqual([
    'holdfast/logical/shop',
    'holdfast/verify/shop',
    'holdfast/drill/shop',
    'holdfast/snapshot/shop',
    'holdfast/physical-full/shop',
    'holdfast/physical-diff/shop',
    'holdfast/logical/users',
    'holdfast/verify/users',
    'holdfast/drill/users',
    'holdfast/snapshot/users',
    'holdfast/physical-full/users',
    'holdfast/physical-diff/users',
    'holdfast/logical/old',
    'holdfast/verify/old',
    'holdfast/drill/old',
    'holdfast/snapshot/old',
    'holdfast/physical-full/old',
    'holdfast/physical-diff/old',
    'holdfast/log-archive-watch/db1',
    'holdfast/log-archive-watch/db2',
    'holdfast/instance-reaper',
    'holdfast/repository-audit',
    'holdfast/watchdog',
  ]);
});

test('what is off has none', () => {
  expect(ids(databaseText('shop', 'tiers: {log: off, physical: off}\nverify: off\ndrill: off'))).toEqual([
    'holdfast/logical/shop',
    'holdfast/instance-reaper',
    'holdfast/repository-audit',
    'holdfast/watchdog',
  ]);
  expect(
    ids(databaseText('shop', 'tiers: {logical: off, physical: {full: "0 1 * * *", diff: off}}')),
  ).toEqual([
    'holdfast/verify/shop',
    'holdfast/drill/shop',
    'holdfast/snapshot/shop',
    'holdfast/physical-full/shop',
    'holdfast/log-archive-watch/db1',
    'holdfast/instance-reaper',
    'holdfast/repository-audit',
    'holdfast/watchdog',
  ]);
});

test('the inputs are those that the workflows accept', () => {
  for (const { workflowType, input } of desiredSchedules(exampleConfig())) {
    expect(INPUTS[workflowType].safeParse(input).success, workflowType).toBe(true);
  }
});

test('the repository is audited every day, once where a day was missed', () => {
  const audit = desiredSchedules(exampleConfig()).find(({ id }) => id === 'holdfast/repository-audit');
  expect(audit).toMatchObject({ crons: ['0 6 * * *'], everyMs: null, catchupWindowMs: 86_400_000 });
});

test('overlap and catch-up are those of the tier', () => {
  const byId = Object.fromEntries(desiredSchedules(exampleConfig()).map((each) => [each.id, each]));
  expect(byId['holdfast/logical/shop']).toMatchObject({ overlap: 'SKIP', catchupWindowMs: 86_400_000 });
  expect(byId['holdfast/physical-full/shop']).toMatchObject({
    overlap: 'BUFFER_ONE',
    catchupWindowMs: 7 * 86_400_000,
  });
  expect(byId['holdfast/snapshot/shop']).toMatchObject({
    ...{ workflowType: 'monthlySnapshot', input: { database: 'shop' }, overlap: 'SKIP' },
    ...{ workflowId: 'backup/snapshot/shop', catchupWindowMs: 86_400_000 },
  });
  expect(byId['holdfast/log-archive-watch/db1']).toMatchObject({ overlap: 'SKIP', everyMs: 300_000 });
});

test('where nothing is verified no snapshot is looked for, unless it is asked for', () => {
  expect(ids(databaseText('shop', 'verify: off'))).not.toContain('holdfast/snapshot/shop');
  const asked = databaseText('shop', 'verify: off\ntiers: {snapshot: {of: logical}}');
  expect(ids(asked)).toContain('holdfast/snapshot/shop');
});
