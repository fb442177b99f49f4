import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createReapingActivities } from '../../../src/activities/reaping.ts';
import { localInstances } from '../../../src/instances/local.ts';
import type { Topology } from '../../../src/model/topology.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { removeTopology, writeTopology } from '../../../src/repository/topology.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let s3: RepositoryFixture;
let repository: Repository;
let root: string;
beforeAll(async () => {
  s3 = await startRepository();
  repository = await s3.open();
  root = await mkdtemp(join(tmpdir(), 'hf-reaping-'));
  await chmod(root, 0o755);
});
afterAll(async () => {
  repository?.close();
  await s3?.dispose();
  await rm(root, { recursive: true, force: true });
});

const gone = async () => {
  throw new WorkflowNotFoundError('gone', 'disaster/shop/1', undefined);
};
/** Of a worker whose workflows are all gone. */
function depsOf(repositoryConfig = s3.config): Dependencies {
  const config = exampleConfig();
  const [directory, production] = [join(root, 'instances'), join(root, 'production')];
  config.sites = { here: { ...(config.sites.here as (typeof config.sites)[string]), directory, production } };
  config.repository = repositoryConfig;
  return {
    config: { config, directory: s3.directory, path: 'holdfast.yaml' },
    client: { workflow: { getHandle: () => ({ describe: gone }) } } as unknown as Dependencies['client'],
    ...{ engines: {}, logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
}
const reap = (deps = depsOf()) =>
  new MockActivityEnvironment().run(createReapingActivities(deps).reapInstances, { site: 'here' });

it('leaves a server alone whose recovery was terminated, for as long as its database lives there', async () => {
  const { sites } = depsOf().config.config;
  const { directory, production } = sites.here as { directory: string; production: string };
  const store = localInstances({
    ...{ site: 'here', host: 'db1', directory, production, user: 'postgres', reserveBytes: 0 },
  });
  const owner = { workflowId: 'disaster/shop/1', runId: 'r' };
  const request = { database: 'shop', engine: 'postgres' as const, owner, expiresAt: '2030-01-01T00:00:00Z' };
  await store.provision({ ...request, id: 'restored' });
  await store.provision({ ...request, id: 'moved' });
  const moved = await store.moveToProduction('moved', 'postgres');
  const topology: Topology = {
    ...{ formatVersion: 1, database: 'shop', by: owner.workflowId, at: '2026-01-31T12:00:00Z', site: 'here' },
    ...{ host: 'db1', address: { host: '127.0.0.1', port: 5433 }, stanza: 'shop-2', timeline: 2, former: [] },
    ...{ dataDirectory: join(moved.directory, 'data'), socketDirectory: '/run/2' },
    ...{ systemUser: 'postgres', systemIdentifier: '7' },
  };
  await writeTopology(repository, topology);
  expect(await reap()).toEqual(['restored']);

  await removeTopology(repository, 'shop');
  // Nobody can say where the database lives.
  const { restoreCredentials: _, ...withoutSecret } = s3.config;
  const credentials = { accessKeyId: { env: 'NOWHERE' }, secretAccessKey: { env: 'NOWHERE' } };
  expect(await reap(depsOf({ ...withoutSecret, credentials }))).toEqual([]);
  expect(await reap()).toEqual(['moved']);
});
