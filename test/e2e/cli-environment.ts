import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { createTestEnvironment } from '../workflow/environment.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

export interface Answer {
  code: number | undefined;
  out: string;
  error: string;
  /** what stdout holds as JSON */
  json(): Record<string, unknown>;
}

/** The real command line against a real Temporal server. The database and the repository of its configuration are away. */
export interface CliEnvironment {
  temporal: TestWorkflowEnvironment;
  config: string;
  holdfast(...given: string[]): Promise<Answer>;
  close(): Promise<void>;
}

export async function createCliEnvironment(): Promise<CliEnvironment> {
  const temporal = await createTestEnvironment();
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  const config = join(directory, 'holdfast.yaml');
  await mkdir(join(directory, 'instances'));
  await writeFile(config, stringify(configuration(directory)));
  await writeFile(
    join(directory, 'temporal.toml'),
    `[profile.default]\naddress = "${temporal.address}"\nnamespace = "${temporal.client.options.namespace}"\n`,
  );
  return {
    temporal,
    config,
    holdfast: async (...given) => {
      const separator = given.includes('--') ? given.indexOf('--') : given.length;
      const all = [...given.slice(0, separator), '--config', config, ...given.slice(separator)];
      const { exitCode, stdout, stderr } = await execa(HOLDFAST, all, {
        reject: false,
        stdin: 'ignore',
        env: { NO_COLOR: '1', SUDO_USER: 'ana', S3_ID: 'x', S3_KEY: 'y', SHOP_PASSWORD: 'not-told' },
      });
      return { code: exitCode, out: stdout, error: stderr, json: () => JSON.parse(stdout) };
    },
    close: async () => {
      await temporal.teardown();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

// Port 9 (discard) is closed everywhere: what is away answers at once that it is.
function configuration(directory: string): unknown {
  return {
    version: 1,
    temporal: {
      profile: 'default',
      configFile: join(directory, 'temporal.toml'),
      ui: 'http://127.0.0.1:8233',
    },
    repository: {
      endpoint: 'https://127.0.0.1:9',
      region: 'eu-test-1',
      bucket: 'backups',
      pathStyle: true,
      credentials: { accessKeyId: { env: 'S3_ID' }, secretAccessKey: { env: 'S3_KEY' } },
    },
    hosts: { local: {}, second: {} },
    sites: {
      local: { hosts: ['local'], directory: join(directory, 'instances') },
      second: { hosts: ['second'], directory: join(directory, 'second', 'instances') },
    },
    databases: {
      shop: {
        engine: 'postgres',
        objectives: { rpo: '5m', rto: '30m' },
        host: 'local',
        connection: {
          host: '127.0.0.1',
          port: 9,
          user: 'holdfast',
          password: { env: 'SHOP_PASSWORD' },
          database: 'shop',
          tls: 'off',
        },
        postgres: { dataDirectory: join(directory, 'data') },
        takeover: { second: { address: '127.0.0.1', port: 10 } },
      },
    },
  };
}
