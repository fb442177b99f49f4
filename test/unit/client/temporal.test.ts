import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { connectTemporal, connectWorker, temporalPlace } from '../../../src/client/temporal.ts';
import type { LoadedConfig } from '../../../src/config/load.ts';
import { exampleConfig } from '../config/example.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-temporal-'));
  await writeFile(
    join(directory, 'temporal.toml'),
    '[profile.default]\naddress = "first:7233"\n[profile.cloud]\naddress = "second:7233"\nnamespace = "backups"\n',
  );
  await writeFile(join(directory, 'user.toml'), '[profile.default]\naddress = "user:7233"\n');
});
afterAll(() => rm(directory, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

function configured(temporal: LoadedConfig['config']['temporal']): LoadedConfig {
  return { config: { ...exampleConfig(), temporal }, path: join(directory, 'holdfast.yaml'), directory };
}

test('the file and profile of the configuration count, from its own directory', () => {
  vi.stubEnv('TEMPORAL_CONFIG_FILE', join(directory, 'user.toml'));
  expect(temporalPlace(configured({ configFile: 'temporal.toml' }))).toEqual({
    address: 'first:7233',
    namespace: 'default',
  });
  expect(temporalPlace(configured({ configFile: 'temporal.toml', profile: 'cloud' }))).toEqual({
    address: 'second:7233',
    namespace: 'backups',
  });
});

test("without them Temporal's own file counts, and without that one localhost", () => {
  vi.stubEnv('TEMPORAL_CONFIG_FILE', join(directory, 'user.toml'));
  expect(temporalPlace(configured({})).address).toBe('user:7233');
  vi.stubEnv('TEMPORAL_CONFIG_FILE', join(directory, 'none.toml'));
  expect(temporalPlace(configured({}))).toEqual({ address: '127.0.0.1:7233', namespace: 'default' });
});

test('variables override the file', () => {
  vi.stubEnv('TEMPORAL_ADDRESS', 'variable:7233');
  vi.stubEnv('TEMPORAL_NAMESPACE', 'other');
  expect(temporalPlace(configured({ configFile: 'temporal.toml', profile: 'cloud' }))).toEqual({
    address: 'variable:7233',
    namespace: 'other',
  });
});

test('a file or profile that is not there is an error, never another server', () => {
  expect(() => temporalPlace(configured({ configFile: 'none.toml' }))).toThrow(
    /configFile .*none\.toml cannot be used/,
  );
  expect(() => temporalPlace(configured({ configFile: 'temporal.toml', profile: 'prod' }))).toThrow(
    /'prod' not found/,
  );
});

test('a server that does not answer is named', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const port = (server.address() as { port: number }).port;
  await new Promise((resolve) => server.close(resolve));
  vi.stubEnv('TEMPORAL_ADDRESS', `127.0.0.1:${port}`);
  const expected = {
    type: 'ConnectionFailed',
    message: `temporal server at 127.0.0.1:${port} does not answer`,
    hint: expect.stringContaining('holdfast dev up'),
  };
  await expect(connectTemporal(configured({}))).rejects.toMatchObject(expected);
  await expect(connectWorker(configured({}))).rejects.toMatchObject(expected);
});
