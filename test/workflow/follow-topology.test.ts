import { randomUUID } from 'node:crypto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import type { LoadedConfig } from '../../src/config/load.ts';
import type { Topology } from '../../src/model/topology.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { removeTopology, writeTopology } from '../../src/repository/topology.ts';
import { runWorker } from '../../src/workers/worker.ts';
import { type RepositoryFixture, startRepository } from '../engine/repository/fixture.ts';
import { exampleConfig } from '../unit/config/example.ts';
import { createTestEnvironment } from './environment.ts';

let environment: TestWorkflowEnvironment;
let s3: RepositoryFixture;
let repository: Repository;
let config: LoadedConfig;
let worker: { ended: Promise<void>; end(): void };

beforeAll(async () => {
  vi.stubEnv('HOLDFAST_WORKFLOW_BUNDLE', inject('workflowBundle') ?? '');
  [environment, s3] = await Promise.all([createTestEnvironment(), startRepository()]);
  repository = await s3.open();
  const example = exampleConfig();
  config = {
    config: { ...example, repository: s3.config, noWorkerAfter: '1s' },
    path: 'holdfast.yaml',
    directory: s3.directory,
  };
  worker = startWorker();
});
afterAll(async () => {
  worker?.end();
  await worker?.ended;
  repository?.close();
  await Promise.all([environment?.teardown(), s3?.dispose()]);
  vi.unstubAllEnvs();
});

function startWorker() {
  const abort = new AbortController();
  const ended = runWorker({
    config,
    roles: [{ kind: 'control' }],
    connection: environment.nativeConnection,
    client: environment.client,
    logger: pino({ level: 'silent' }),
    engines: {},
    signal: abort.signal,
  });
  return { ended, end: () => abort.abort() };
}

const moved: Topology = {
  ...{
    formatVersion: 1,
    database: 'shop',
    by: 'disaster/shop/1',
    at: '2026-01-31T12:10:00Z',
    site: 'second',
  },
  ...{ host: 'db2', address: { host: '127.0.0.1', port: 5433 }, stanza: 'shop-2', dataDirectory: '/data/2' },
  ...{ socketDirectory: '/run/2', systemUser: 'postgres', systemIdentifier: '7', timeline: 2, former: [] },
};

/** A watcher ends where its host has no database: what the configuration's activity says of where shop lives. */
const watch = (host: string) =>
  environment.client.workflow.start('logArchiveWatch', {
    taskQueue: 'holdfast',
    workflowId: `watch-${host}-${randomUUID()}`,
    args: [{ host }],
  });
const isLookedFor = async (run: Awaited<ReturnType<typeof watch>>) => {
  const { pendingActivities = [] } = (await run.describe()).raw;
  return (pendingActivities ?? []).some(({ activityType }) => activityType?.name === 'watchHost');
};

test('the next activity follows a database that was moved, and moved back, while the worker runs', async () => {
  const before = await watch('db1');
  await expect.poll(() => isLookedFor(before)).toBe(true);
  await (await watch('db2')).result();

  await writeTopology(repository, moved);
  await (await watch('db1')).result();
  const after = await watch('db2');
  await expect.poll(() => isLookedFor(after)).toBe(true);

  await removeTopology(repository, 'shop');
  await (await watch('db2')).result();
  await before.terminate();
  await after.terminate();
});

test('with S3 away what was known last counts, and nothing hangs', async () => {
  await writeTopology(repository, moved);
  await (await watch('db1')).result();
  process.kill(s3.server.pid, 'SIGSTOP');
  try {
    // Three activities' worth: each would wait for S3 if it were asked each time.
    await Promise.all([(await watch('db1')).result(), (await watch('db1')).result()]);
    await (await watch('db1')).result();
  } finally {
    process.kill(s3.server.pid, 'SIGCONT');
  }
  await removeTopology(repository, 'shop');
});

test('a worker that never knew where databases live says so, and goes on when S3 is back', async () => {
  worker.end();
  await worker.ended;
  process.kill(s3.server.pid, 'SIGSTOP');
  let run: Awaited<ReturnType<typeof watch>>;
  try {
    worker = startWorker();
    run = await watch('db2');
    const failure = async () => {
      const { pendingActivities = [] } = (await run.describe()).raw;
      return pendingActivities?.[0]?.lastFailure?.message;
    };
    await expect.poll(failure, { timeout: 20_000 }).toContain('did not say in time where databases live');
  } finally {
    process.kill(s3.server.pid, 'SIGCONT');
  }
  await run.result();
});
