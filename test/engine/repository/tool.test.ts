import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ToolRepository } from '../../../src/engines/contract/backup.ts';
import { toolRepository } from '../../../src/repository/tool.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

let fixture: RepositoryFixture;
let asWriter: ToolRepository;
let asReader: ToolRepository;
beforeAll(async () => {
  fixture = await startRepository();
  const options = { baseDirectory: fixture.directory };
  asWriter = await toolRepository(fixture.config, { ...options, use: 'backup' });
  asReader = await toolRepository(fixture.config, { ...options, use: 'restore' });
});
afterAll(() => fixture?.dispose());

test('pgBackRest writes with the backup’s credentials, over TLS that it verifies', async () => {
  await pgbackrest(asWriter, ['repo-put', 'archive/shop/archive.info'], 'content');
  const stored = await fixture.open();
  expect(await stored.getText('pgbackrest/archive/shop/archive.info')).toBe('content');
  stored.close();
});

test('pgBackRest reads with the credentials and the session token of restores, and cannot write', async () => {
  await pgbackrest(asWriter, ['repo-put', 'archive/shop/other'], 'content');
  expect((await pgbackrest(asReader, ['repo-ls', 'archive/shop'])).stdout).toContain('other');
  expect((await pgbackrest(asReader, ['repo-get', 'archive/shop/other'])).stdout).toBe('content');
  await expect(pgbackrest(asReader, ['repo-put', 'archive/shop/other'], 'forged')).rejects.toThrow(/403/);
  await expect(pgbackrest(asReader, ['repo-rm', 'archive/shop/other'])).rejects.toThrow(/AccessDenied|403/);
});

function pgbackrest(tool: ToolRepository, command: string[], input = '') {
  return execa('pgbackrest', [...command, '--config=/dev/null', '--log-level-file=off'], {
    input,
    env: {
      PGBACKREST_REPO1_TYPE: 's3',
      PGBACKREST_REPO1_PATH: `/${tool.path}`,
      PGBACKREST_REPO1_S3_ENDPOINT: (tool.endpoint ?? '').split(':')[0],
      PGBACKREST_REPO1_STORAGE_HOST: (tool.endpoint ?? '').split(':')[0],
      PGBACKREST_REPO1_STORAGE_PORT: (tool.endpoint ?? '').split(':')[1],
      PGBACKREST_REPO1_STORAGE_CA_FILE: tool.caFile ?? '',
      PGBACKREST_REPO1_S3_REGION: tool.region,
      PGBACKREST_REPO1_S3_BUCKET: tool.bucket,
      PGBACKREST_REPO1_S3_URI_STYLE: tool.pathStyle ? 'path' : 'host',
      PGBACKREST_REPO1_S3_KEY: tool.credentials?.accessKeyId,
      PGBACKREST_REPO1_S3_KEY_SECRET: tool.credentials?.secretAccessKey,
      ...(tool.credentials?.sessionToken == null
        ? {}
        : { PGBACKREST_REPO1_S3_TOKEN: tool.credentials.sessionToken }),
      PGBACKREST_REPO1_S3_KMS_KEY_ID: tool.kmsKeyId ?? '',
    },
  });
}
