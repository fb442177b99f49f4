import type { Client } from '@temporalio/client';
import pino from 'pino';
import { expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import type { LoadedConfig } from '../../../src/config/load.ts';
import { HoldfastError } from '../../../src/model/failure.ts';
import { following, followTopology } from '../../../src/workers/follow.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../config/example.ts';

const file: LoadedConfig = { config: exampleConfig(), path: 'holdfast.yaml', directory: '/' };
const moved: LoadedConfig = { ...file, path: 'moved' };
const logger = pino({ level: 'silent' });
const away = () => Promise.reject(new HoldfastError('RepositoryUnavailable', 'S3 is away'));

/** What activities of these names see, with a repository that answers so, one after the other. */
function activitiesOver(...answers: (() => Promise<LoadedConfig>)[]) {
  let asked = 0;
  const located = followTopology(file, logger, () => (answers[asked++] ?? away)());
  const create = ({ config }: Dependencies) => ({
    importTables: async () => config.path,
    removeInstance: async () => config.path,
  });
  const deps: Dependencies = {
    config: file,
    client: {} as Client,
    engines: {},
    logger,
    metrics: NO_METRICS,
    host: 'db1',
  };
  return { ...following(create, deps, located), asked: () => asked };
}
const answer = (config: LoadedConfig) => () => Promise.resolve(config);

test('each activity has the configuration of its moment', async () => {
  const { importTables, asked } = activitiesOver(answer(file), answer(moved));
  expect([await importTables(), await importTables()]).toEqual(['holdfast.yaml', 'moved']);
  expect(asked()).toBe(2);
});

test('an S3 that is away is asked once, and what was known last counts', async () => {
  const { importTables, removeInstance, asked } = activitiesOver(answer(moved), away);
  for (const activity of [importTables, importTables, importTables, removeInstance]) {
    expect(await activity()).toBe('moved');
  }
  expect(asked()).toBe(2);
});

test('where nothing was ever known, only clean-up goes on, by the file', async () => {
  const { importTables, removeInstance } = activitiesOver(away, away, answer(moved));
  await expect(importTables()).rejects.toMatchObject({ type: 'RepositoryUnavailable', nonRetryable: false });
  expect(await removeInstance()).toBe('holdfast.yaml');
});
