import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createTakeoverActivities } from '../../../src/activities/taking-over.ts';
import { localInstances } from '../../../src/instances/local.ts';
import type { Check } from '../../../src/model/evidence.ts';
import type { Target } from '../../../src/model/target.ts';
import { writeHeartbeat } from '../../../src/repository/heartbeats.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { fakeBase } from '../../workflow/fakes.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let s3: RepositoryFixture;
let root: string;
beforeAll(async () => {
  s3 = await startRepository();
  root = await mkdtemp(join(tmpdir(), 'hf-new-server-'));
});
afterAll(async () => {
  await s3?.dispose();
  await rm(root, { recursive: true, force: true });
});

const log = '000000010000000000000005';
const access = { host: '/s', port: 5432, user: 'u', password: null, database: 'shop', tls: null };

it('has every commit that its target comes after, however long ago the last one was', async () => {
  const repository = await s3.open();
  await writeHeartbeat(repository, 'shop', {
    at: '2020-01-01T00:00:00Z',
    position: '0/5000100',
    log,
    timeline: 1,
  });
  await writeHeartbeat(repository, 'shop', {
    at: '2020-01-01T00:01:00Z',
    position: '0/5000200',
    log,
    timeline: 1,
  });
  repository.close();
  const config = exampleConfig();
  const directory = join(root, 'instances');
  config.sites = { here: { ...(config.sites.here as (typeof config.sites)[string]), directory } };
  config.repository = s3.config;
  const store = localInstances({ site: 'here', host: 'db1', directory, user: null, reserveBytes: 0 });
  const owner = { workflowId: 'disaster/shop/1', runId: 'r' };
  const expiresAt = '2030-01-01T00:00:00Z';
  await store.provision({ id: 'one', database: 'shop', engine: 'postgres', owner, expiresAt });
  const { checkNewServer } = createTakeoverActivities({
    config: { config, directory: s3.directory, path: 'holdfast.yaml' },
    ...{
      engines: { postgres: {} },
      logger: pino({ enabled: false }),
      metrics: NO_METRICS,
      host: 'db1',
      client: {},
    },
  } as unknown as Dependencies);

  const heartbeatAt = async (lsn: string, target: Target) => {
    const replayed = { access, url: '', position: '', lsn, lastTransactionAt: null };
    const instance = { id: 'one', site: 'here', host: 'db1', expiresAt };
    const given = { database: 'shop', instance, base: fakeBase(null), target, replayed, access };
    const checks: Check[] = await new MockActivityEnvironment().run(checkNewServer, given);
    return checks.find(({ name }) => name === 'heartbeat')?.verdict;
  };
  expect(await heartbeatAt('0/5000200', { latest: true })).toBe('pass');
  expect(await heartbeatAt('0/5000180', { latest: true })).toBe('fail');
  expect(await heartbeatAt('0/5000180', { time: '2020-01-01T00:00:30Z' })).toBe('pass');
});
