import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createPlanningActivities } from '../../../src/activities/planning.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const config = exampleConfig({ databases: databaseText('legacy') + databaseText('shop') });
// As a configuration of a newer version has it.
if (config.databases.legacy !== undefined) config.databases.legacy.engine = 'mysql';
const deps: Dependencies = {
  config: { config, directory: '/', path: '/holdfast.yaml' } as Dependencies['config'],
  client: {} as Dependencies['client'],
  engines: {},
  logger: pino({ enabled: false }),
  metrics: NO_METRICS,
  host: 'db1',
};

test('a database that this version cannot watch counts as one that is watched', async () => {
  const environment = new MockActivityEnvironment();
  const { describeWatch } = createPlanningActivities(deps);
  expect(await environment.run(describeWatch, { host: 'db1' })).toMatchObject({
    databases: 2,
    intervalMs: 60_000,
  });
});
