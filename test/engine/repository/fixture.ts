import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type S3Server, startS3 } from '../../../src/client/dev/s3.ts';
import type { RepositoryConfig } from '../../../src/config/schema.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';

export interface RepositoryFixture {
  directory: string;
  server: S3Server;
  config: RepositoryConfig;
  open(options?: { use?: 'backup' | 'restore'; patienceMs?: number }): Promise<Repository>;
  dispose(): Promise<void>;
}

/** A real S3 server of this test file's own, and the configuration that reaches it. */
export async function startRepository(changes: Partial<RepositoryConfig> = {}): Promise<RepositoryFixture> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-repository-'));
  await chmod(directory, 0o755);
  const server = await startS3({
    directory: join(directory, 's3'),
    port: 0,
    region: 'eu-test-1',
    bucket: 'holdfast-test',
  });
  await writeFile(join(directory, 'secret'), `${server.secretAccessKey}\n`, { mode: 0o600 });
  await writeFile(join(directory, 'restore.secret'), server.restoreCredentials.secretAccessKey);
  await writeFile(join(directory, 'restore.token'), server.restoreCredentials.sessionToken);
  process.env.REPOSITORY_TEST_KEY = server.accessKeyId;
  process.env.REPOSITORY_TEST_RESTORE_KEY = server.restoreCredentials.accessKeyId;
  const config: RepositoryConfig = {
    endpoint: server.endpoint,
    region: server.region,
    bucket: server.bucket,
    prefix: 'fleet/',
    pathStyle: true,
    caFile: server.caFile,
    credentials: { accessKeyId: { env: 'REPOSITORY_TEST_KEY' }, secretAccessKey: { file: 'secret' } },
    restoreCredentials: {
      accessKeyId: { env: 'REPOSITORY_TEST_RESTORE_KEY' },
      secretAccessKey: { file: 'restore.secret' },
      sessionToken: { file: 'restore.token' },
    },
    kmsKeyId: server.kmsKeyId,
    lock: { mode: 'GOVERNANCE' },
    ...changes,
  };
  return {
    directory,
    server,
    config,
    open: ({ use = 'backup', ...options } = {}) =>
      openRepository(config, { use, baseDirectory: directory, ...options }),
    async dispose() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
