import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportToRepository } from '../../../src/activities/exporting.ts';
import type { Run } from '../../../src/model/progress.ts';
import { exportsFolder } from '../../../src/repository/layout.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';

const run: Run = { signal: new AbortController().signal, progress: () => {} };
const content = (text: string) => Readable.from([Buffer.from(text)], { objectMode: false });

let fixture: RepositoryFixture;
let repository: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

const keysOf = async (workflowId: string) =>
  (await collect(repository.list(exportsFolder('shop', workflowId)))).map(({ key }) => key);

test('an exported file is an encrypted object of the attempt, with its size and sha256', async () => {
  const of = { database: 'shop', workflowId: 'pitr/shop/1' };
  const file = await exportToRepository(repository, of, run, (put) => put('a.csv', content('id\n1\n')));
  expect(file).toMatchObject({ sizeBytes: 5, sha256: createHash('sha256').update('id\n1\n').digest('hex') });
  expect(file.place).toMatch(/^export\/shop\/pitr%2Fshop%2F1\/[^/]+\/a\.csv$/);
  expect(await repository.getText(file.place)).toBe('id\n1\n');
  const { bucket, request } = repository.connection;
  const head = await request((s3) =>
    s3.send(new HeadObjectCommand({ Bucket: bucket, Key: repository.fullKey(file.place) })),
  );
  expect(head.ServerSideEncryption).toBeTruthy();
});

test('an attempt that fails leaves nothing, and one that was killed is removed by the next', async () => {
  const of = { database: 'shop', workflowId: 'pitr/shop/2' };
  const failing = exportToRepository(repository, of, run, async (put) => {
    await put('a.csv', content('1'));
    throw new Error('the server went away');
  });
  await expect(failing).rejects.toThrow('went away');
  expect(await keysOf(of.workflowId)).toEqual([]);
  // Nor as noncurrent versions: they are production's rows.
  expect(await collect(repository.versions(exportsFolder('shop', of.workflowId)))).toEqual([]);

  await repository.put(`${exportsFolder('shop', of.workflowId)}killed/a.csv`, 'half');
  const file = await exportToRepository(repository, of, run, (put) => put('a.csv', content('2')));
  expect(await keysOf(of.workflowId)).toEqual([file.place]);
  expect(await collect(repository.versions(exportsFolder('shop', of.workflowId)))).toMatchObject([
    { key: file.place, isLatest: true },
  ]);
});
