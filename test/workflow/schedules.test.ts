import { ScheduleOverlapPolicy } from '@temporalio/client';
import { MockActivityEnvironment, type TestWorkflowEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSchedulingActivities, type SchedulesMoved } from '../../src/activities/scheduling.ts';
import { listSchedules } from '../../src/client/schedule-list.ts';
import { desiredSchedules, ownerOf } from '../../src/config/schedules.ts';
import { withTopology } from '../../src/config/topology.ts';
import type { Topology } from '../../src/model/topology.ts';
import { applySchedules, diffSchedules, type ScheduleChange } from '../../src/schedules/apply.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { databaseText, exampleConfig } from '../unit/config/example.ts';
import { createTestEnvironment } from './environment.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const config = exampleConfig({ databases: databaseText('shop') + databaseText('users', '', 'db2') });
const desired = desiredSchedules(config);
const owner = ownerOf(config);

beforeEach(async () => {
  for await (const { scheduleId } of environment.client.schedule.list()) {
    await environment.client.schedule.getHandle(scheduleId).delete();
  }
  await expect.poll(listedIds).toEqual([]);
});

async function listedIds(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of environment.client.schedule.list()) ids.push(scheduleId);
  return ids.sort();
}

const kinds = (changes: ScheduleChange[]) =>
  Object.fromEntries(changes.filter(({ kind }) => kind !== 'keep').map(({ id, kind }) => [id, kind]));

test('creates what is missing, and has nothing to do the second time', async () => {
  const { client } = environment;
  const first = await applySchedules(client, desired, owner);
  expect(new Set(first.map(({ kind }) => kind))).toEqual(new Set(['create']));
  expect(await diffSchedules(client, desired, owner)).toEqual(
    desired.map(({ id }) => ({ id, kind: 'keep', fields: [], paused: null })),
  );
});

test('two people who apply at once get the same schedules', async () => {
  const { client } = environment;
  await Promise.all([applySchedules(client, desired, owner), applySchedules(client, desired, owner)]);
  expect(kinds(await diffSchedules(client, desired, owner))).toEqual({});
});

test('keeps a pause and its note through an update, and says so', async () => {
  const { client } = environment;
  await applySchedules(client, desired, owner);
  await client.schedule.getHandle('holdfast/logical/shop').pause('disk is being moved, Ann');
  const changed = desiredSchedules(
    exampleConfig({
      databases:
        databaseText('shop', 'tiers: {logical: {schedule: "15 3 * * MON-FRI"}}') +
        databaseText('users', '', 'db2'),
    }),
  );
  const changes = await applySchedules(client, changed, owner);
  expect(changes.find(({ id }) => id === 'holdfast/logical/shop')).toMatchObject({
    kind: 'update',
    paused: { note: 'disk is being moved, Ann' },
    fields: [
      { name: 'when', to: '15 3 * * 1-5' },
      { name: 'catch-up', from: '1d', to: '3d' },
    ],
  });
  const after = await client.schedule.getHandle('holdfast/logical/shop').describe();
  expect(after.state).toMatchObject({ paused: true, note: 'disk is being moved, Ann' });
  expect(kinds(await diffSchedules(client, changed, owner))).toEqual({});
});

test('sees what a person changed at the server, and sets it back', async () => {
  const { client } = environment;
  await applySchedules(client, desired, owner);
  await client.schedule
    .getHandle('holdfast/physical-full/shop')
    .update(({ spec, action, policies, state }) => ({
      spec: { ...spec, skip: [{ hour: 3 }] },
      action,
      state,
      policies: { ...policies, pauseOnFailure: true, overlap: ScheduleOverlapPolicy.ALLOW_ALL },
    }));
  const changes = await diffSchedules(client, desired, owner);
  expect(kinds(changes)).toEqual({ 'holdfast/physical-full/shop': 'update' });
  const fields = changes.find(({ kind }) => kind === 'update')?.fields.map(({ name }) => name);
  expect(fields).toEqual(['when', 'overlap', 'pause on failure']);
  await applySchedules(client, desired, owner);
  expect(kinds(await diffSchedules(client, desired, owner))).toEqual({});
});

test('removes schedules of ours that nobody wants, and leaves those of others', async () => {
  const { client } = environment;
  const action = { type: 'startWorkflow', workflowType: 'x', taskQueue: 'x', args: [] } as const;
  const other = exampleConfig();
  other.repository.bucket = 'other-bucket';
  const theirs = desiredSchedules(other)
    .map((schedule) => ({ ...schedule, id: schedule.id.replace(/shop$/, 'theirs') }))
    .filter(({ id }) => id.endsWith('theirs'));
  await applySchedules(client, theirs, ownerOf(other));
  await client.schedule.create({
    scheduleId: 'nightly-report',
    spec: { intervals: [{ every: '1d' }] },
    action,
  });
  await applySchedules(client, desired, owner);
  await expect.poll(listedIds).toHaveLength(desired.length + theirs.length + 1);

  const fewer = desiredSchedules(exampleConfig());
  const gone = desired.map(({ id }) => id).filter((id) => !fewer.some((each) => each.id === id));
  expect(gone).toContain('holdfast/logical/users');
  expect(gone).toContain('holdfast/log-archive-watch/db2');
  expect(kinds(await applySchedules(client, fewer, owner))).toEqual(
    Object.fromEntries(gone.map((id) => [id, 'remove'])),
  );
  const left = [...fewer.map(({ id }) => id), ...theirs.map(({ id }) => id), 'nightly-report'].sort();
  await expect.poll(listedIds).toEqual(left);
});

test('lists the next run, the last run and its result', async () => {
  const { client } = environment;
  await applySchedules(client, desired, owner);
  await client.schedule.getHandle('holdfast/logical/users').pause('no');
  await client.schedule.getHandle('holdfast/logical/shop').trigger();
  await expect
    .poll(async () => (await listSchedules(client)).find(({ id }) => id === 'holdfast/logical/shop'))
    .toMatchObject({
      lastResult: 'running',
      lastWorkflowId: expect.stringMatching(/^backup\/logical\/shop-\d{4}-/),
      nextRunAt: expect.stringMatching(/Z$/),
      paused: false,
      missed: 0,
    });
  const rows = await listSchedules(client);
  const dump = rows.find(({ id }) => id === 'holdfast/logical/shop');
  const run = client.workflow.getHandle(dump?.lastWorkflowId ?? '');
  const { typedSearchAttributes, taskQueue } = await run.describe();
  expect(taskQueue).toBe('holdfast');
  expect(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value])).toEqual(
    expect.arrayContaining([
      ['HoldfastDatabase', 'shop'],
      ['HoldfastEngine', 'postgres'],
      ['HoldfastRunbook', 'logicalBackup'],
    ]),
  );
  await run.terminate();
  expect(rows.find(({ id }) => id === 'holdfast/logical/users')).toMatchObject({
    paused: true,
    note: 'no',
    nextRunAt: null,
    lastRunAt: null,
  });
});

test('watchers start with their schedule, backups at their time', async () => {
  const { client } = environment;
  await applySchedules(client, desired, owner);
  const started = async () =>
    (await listSchedules(client)).filter(({ lastRunAt }) => lastRunAt !== null).map(({ id }) => id);
  await expect
    .poll(started)
    .toEqual([
      'holdfast/instance-reaper',
      'holdfast/log-archive-watch/db1',
      'holdfast/log-archive-watch/db2',
      'holdfast/watchdog',
    ]);
  // The first run counts as the schedule's own: the next interval must not start a second watcher beside it.
  const watcher = client.schedule.getHandle('holdfast/log-archive-watch/db1');
  await expect.poll(async () => (await watcher.describe()).info.runningActions.length).toBe(1);
});

test('watchers follow a database that was moved, and nothing else changes', async () => {
  const { client } = environment;
  const others = [
    ['logical/shop', 'the disk is being moved'],
    ['log-archive-watch/db2', 'maintenance'],
  ] as const;
  const deps = {
    client,
    engines: {},
    logger: pino({ level: 'silent' }),
    metrics: NO_METRICS,
    host: 'control',
  };
  const apply = (moved: Topology[]) => {
    const loaded = { config: withTopology(config, moved), path: 'x', directory: '/' };
    const { applySchedules: follow } = createSchedulingActivities({ ...deps, config: loaded });
    return new MockActivityEnvironment().run(follow, {}) as Promise<SchedulesMoved>;
  };
  const [here, there] = [topologyAt('db3'), topologyAt('db4')];

  // Nobody has applied any.
  expect(await apply([here])).toEqual({ created: [], removed: [] });
  expect(await listedIds()).toEqual([]);

  await applySchedules(client, desired, owner);
  for (const [name, note] of others) await client.schedule.getHandle(`holdfast/${name}`).pause(note);
  await client.schedule.getHandle('holdfast/drill/shop').delete();
  const watcher = await client.schedule.getHandle('holdfast/log-archive-watch/db1').describe();
  const workflowId = watcher.info.recentActions[0]?.action.workflow.workflowId ?? '';

  const [before, after] = ['holdfast/log-archive-watch/db1', 'holdfast/log-archive-watch/db3'];
  await expect.poll(async () => (await listedIds()).length).toBe(desired.length - 1);
  expect(await apply([here])).toEqual({ created: [after], removed: [before] });
  expect(await apply([here])).toEqual({ created: [], removed: [] });
  // The server's list lags behind.
  await expect.poll(listedIds).toContain(after);
  expect(await apply([there])).toEqual({ created: ['holdfast/log-archive-watch/db4'], removed: [after] });
  // Nobody works on its queue in this test: that it was told to end is all there is to see.
  const { events = [] } = await client.workflow.getHandle(workflowId).fetchHistory();
  expect((events ?? []).some((event) => event.workflowExecutionCancelRequestedEventAttributes)).toBe(true);

  await expect.poll(listedIds).toContain('holdfast/log-archive-watch/db4');
  expect(await apply([])).toEqual({ created: [before], removed: ['holdfast/log-archive-watch/db4'] });
  for (const [name, note] of others) {
    const { state } = await client.schedule.getHandle(`holdfast/${name}`).describe();
    expect(state).toMatchObject({ paused: true, note });
  }
  await expect.poll(listedIds).not.toContain('holdfast/drill/shop');
});

function topologyAt(host: string): Topology {
  return {
    ...{
      formatVersion: 1,
      database: 'shop',
      by: 'disaster/shop/1',
      at: '2026-01-31T12:10:00Z',
      site: 'second',
    },
    ...{ host, address: { host: '127.0.0.1', port: 5433 }, stanza: 'shop-2', dataDirectory: '/data/2' },
    ...{ socketDirectory: '/run/2', systemUser: 'postgres', systemIdentifier: '7', timeline: 2, former: [] },
  };
}
