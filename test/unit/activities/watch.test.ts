import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createPlanningActivities } from '../../../src/activities/planning.ts';
import { createProtectionActivities } from '../../../src/activities/protection.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const config = exampleConfig({ databases: databaseText('legacy') + databaseText('shop') });
// As a configuration of a newer version has it.
if (config.databases.legacy !== undefined) config.databases.legacy.engine = 'mysql';
const deps: Dependencies = {
  config: { config, directory: '/', path: '/holdfast.yaml' } as Dependencies['config'],
  client: {} as Dependencies['client'],
  engines: { postgres: { watchLog: () => Promise.reject(new Error('reached')) } as unknown as Engine },
  logger: pino({ enabled: false }),
  metrics: NO_METRICS,
  host: 'db1',
};

test('a database that this version cannot watch does not keep the others of its host from being watched', async () => {
  const environment = new MockActivityEnvironment();
  const { describeWatch } = createPlanningActivities(deps);
  expect(await environment.run(describeWatch, { host: 'db1' })).toMatchObject({
    databases: 2,
    intervalMs: 60_000,
  });

  const { watchHost } = createProtectionActivities(deps);
  expect(await new MockActivityEnvironment().run(watchHost, { host: 'db1' })).toEqual([
    { database: 'legacy', problem: expect.stringMatching(/no engine for mysql/) },
    { database: 'shop', problem: 'reached' },
  ]);
});
