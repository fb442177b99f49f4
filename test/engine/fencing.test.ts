import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { createFencingActivities } from '../../src/activities/fencing.ts';
import type { DatabaseConfig } from '../../src/config/schema.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import type { Fenced } from '../../src/model/disaster.ts';
import { HoldfastError } from '../../src/model/failure.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { exampleConfig } from '../unit/config/example.ts';

const logger = new DefaultLogger('ERROR');
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-fence-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

type Identify = Engine['identify'];
const answers = (writable: boolean): Identify => {
  return async () => ({ systemIdentifier: '7', timeline: 3, writable });
};
const fails = (type: HoldfastError['type'], message: string): Identify => {
  return () => Promise.reject(new HoldfastError(type, message));
};
const silent = fails('ConnectionFailed', 'nobody answers');

/** Fences with real programs; what the old server says is given. */
function fence(identify: Identify, changes: Partial<DatabaseConfig> = {}): Promise<Fenced> {
  const config = exampleConfig();
  const shop = { ...(config.databases.shop as DatabaseConfig), ...changes };
  config.databases = { shop };
  const { fenceOldServer } = createFencingActivities({
    config: { config, directory, path: 'holdfast.yaml' },
    ...{
      engines: { postgres: { ...postgres, identify } },
      logger: pino({ enabled: false }),
      metrics: NO_METRICS,
      host: 'db1',
    },
    client: {} as Dependencies['client'],
  });
  return new MockActivityEnvironment({}, { logger }).run(fenceOldServer, {
    database: 'shop',
    approvedBy: ['ana', 'ben'],
  });
}
const running = (script: string, timeout = '1m') => ({
  fence: { command: ['/bin/sh', '-c', script], timeout },
});

describe('the old server is fenced', () => {
  it('by the word of who approved, where it does not answer, or only reads', async () => {
    expect(await fence(silent)).toEqual({
      by: 'word',
      detail: 'ana, ben approved; it does not answer at 127.0.0.1:5432',
    });
    expect(await fence(answers(false))).toMatchObject({
      detail: expect.stringMatching(/read-only, on timeline 3/),
    });
  });

  it('by the command, which knows whom', async () => {
    const file = join(directory, 'fenced');
    expect(await fence(silent, running(`echo "$HOLDFAST_DATABASE" > ${file}`))).toEqual({
      by: 'command',
      detail: '/bin/sh ended with exit code 0; it does not answer at 127.0.0.1:5432',
    });
    expect(await readFile(file, 'utf8')).toBe('shop\n');
  });
});

describe('it is not fenced', () => {
  it.each([
    [
      'it can be written to',
      answers(true),
      {},
      /can still be written to: it answers .* writable, on timeline 3/,
    ],
    [
      'it answers, and lets nobody in',
      fails('AuthenticationFailed', 'wrong password'),
      {},
      /written to: .*wrong/,
    ],
    ['the command fails', silent, running('echo no such host >&2; exit 3'), /the fence of shop failed: .*3/],
    ['the command does not end', silent, running('exec sleep 60', '1s'), /it took longer than 1s/],
    ['the command did not help', answers(true), running('true'), /can still be written to/],
  ] as const)('where %s: somebody has to', async (_why, identify, changes, message) => {
    await expect(fence(identify, changes as Partial<DatabaseConfig>)).rejects.toMatchObject({
      ...{ type: 'StillWritable', nonRetryable: true, message: expect.stringMatching(message) },
    });
  });

  it('where its secrets are gone with the site, and it answers all the same', async () => {
    const connection = {
      ...(exampleConfig().databases.shop as DatabaseConfig).connection,
      password: { env: 'GONE_WITH_THE_SITE' },
    };
    const asked: (string | null)[] = [];
    const refused: Identify = async ({ password }) => {
      asked.push(password);
      throw new HoldfastError('AuthenticationFailed', 'no password was given');
    };
    await expect(fence(refused, { connection })).rejects.toMatchObject({ type: 'StillWritable' });
    expect(asked).toEqual([null]);
    expect(await fence(silent, { connection })).toMatchObject({ by: 'word' });
  });
});
