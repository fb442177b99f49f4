import { GetObjectRetentionCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { toolRepository } from '../../../src/repository/tool.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';

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

test('what is put comes back, encrypted with the key and locked until the date', async () => {
  const lockedUntil = new Date(Date.now() + 3_600_000).toISOString();
  const stored = await repository.put('a/object', 'content', { lockedUntil });
  expect(stored).toMatchObject({ key: 'a/object', sizeBytes: 7, versionId: expect.any(String) });
  expect(await repository.getText(stored)).toBe('content');
  const named = { Bucket: fixture.server.bucket, Key: 'fleet/a/object' };
  const head = await repository.connection.request((s3) => s3.send(new HeadObjectCommand(named)));
  expect(head.SSEKMSKeyId).toContain(fixture.server.kmsKeyId);
  const lock = await repository.connection.request((s3) => s3.send(new GetObjectRetentionCommand(named)));
  expect(lock.Retention?.Mode).toBe('GOVERNANCE');
  expect(Math.abs((lock.Retention?.RetainUntilDate?.getTime() ?? 0) - Date.parse(lockedUntil))).toBeLessThan(
    1_000,
  );
});

test('a delete marker and a newer version on top stop nobody who knows the version', async () => {
  const stored = await repository.put('b/object', 'first');
  await repository.put('b/object', 'forged');
  await repository.remove('b/object');
  expect(await repository.getText(stored)).toBe('first');
  expect(await repository.getText('b/object')).toBe('forged');
  expect((await collect(repository.list('b/'))).length).toBe(0);
  expect((await collect(repository.versions('b/'))).map((version) => version.isDeleteMarker)).toEqual([
    true,
    false,
    false,
  ]);
});

test('a record that something was written over is read as it was, and one that never was one is none', async () => {
  await repository.put('record/one.json', '{"at": 1}');
  await repository.put('record/one.json', '{"at": 2}');
  await repository.put('record/one.json', 'gone');
  expect(await repository.getJson('record/one.json')).toEqual({ at: 2 });
  await repository.put('record/two.json', 'gone');
  expect(await repository.getJson('record/two.json')).toBeNull();
});

test('an object with other content than its sha256 is refused', async () => {
  const stored = await repository.put('c/object', 'content');
  await expect(repository.getText({ ...stored, sha256: '0'.repeat(64) })).rejects.toMatchObject({
    type: 'ChecksumMismatch',
  });
});

test('what is not there is null, and a stream of it names the object', async () => {
  expect(await repository.getText('nothing')).toBeNull();
  const missing = { key: 'nothing', versionId: null, sizeBytes: 1 };
  await expect(collect(repository.stream(missing))).rejects.toMatchObject({ type: 'BackupUnusable' });
});

test('lists more than one page, and folders', async () => {
  const names = Array.from({ length: 1_010 }, (_, number) => `d/${number % 3}/${number}`);
  for (let start = 0; start < names.length; start += 50) {
    await Promise.all(names.slice(start, start + 50).map((name) => repository.put(name, '')));
  }
  const listed = await collect(repository.list('d/'));
  expect(new Set(listed.map((object) => object.key))).toEqual(new Set(names));
  expect(await repository.folders('d/')).toEqual(['d/0/', 'd/1/', 'd/2/']);
});

test('restore credentials read, and can neither write nor remove', async () => {
  const stored = await repository.put('e/object', 'content');
  const restore = await fixture.open({ use: 'restore' });
  expect(await restore.getText(stored)).toBe('content');
  expect((await collect(restore.versions('e/'))).length).toBe(1);
  await expect(restore.put('e/other', 'x')).rejects.toMatchObject({ type: 'RepositoryRefused' });
  await expect(restore.remove('e/object')).rejects.toMatchObject({ type: 'RepositoryRefused' });
  await expect(restore.remove('e/object', stored.versionId)).rejects.toMatchObject({
    type: 'RepositoryRefused',
  });
  restore.close();
});

test.each([
  ['a wrong bucket', { bucket: 'no-such-bucket' }, 'RepositoryRefused', /repository.bucket/],
  ['a certificate that nobody vouches for', { caFile: undefined }, 'RepositoryRefused', /caFile/],
  [
    'a wrong key',
    { credentials: { accessKeyId: { env: 'HOME' }, secretAccessKey: { file: 'secret' } } },
    'RepositoryRefused',
    /credentials/,
  ],
  ['nobody at the endpoint', { endpoint: 'https://127.0.0.1:1' }, 'RepositoryUnavailable', /reachable/],
])('%s fails with a name and a hint', async (_, change, type, hint) => {
  const wrong = await openRepository({ ...fixture.config, ...change } as typeof fixture.config, {
    use: 'backup',
    baseDirectory: fixture.directory,
    patienceMs: 300,
  });
  await expect(wrong.put('x', 'x')).rejects.toMatchObject({ type, hint: expect.stringMatching(hint) });
  wrong.close();
});

test('an abort ends the wait for an S3 that is away', async () => {
  const away = await openRepository(
    { ...fixture.config, endpoint: 'https://127.0.0.1:1' },
    { use: 'backup', baseDirectory: fixture.directory },
  );
  const reason = new Error('cancelled');
  await expect(away.put('x', 'x', { signal: abortSoon(reason) })).rejects.toBe(reason);
  away.close();
});

test('the tool gets host and port, its folder and the read-only credentials', async () => {
  const tool = await toolRepository(fixture.config, { use: 'restore', baseDirectory: fixture.directory });
  expect(tool).toMatchObject({
    endpoint: new URL(fixture.server.endpoint).host,
    path: 'fleet/pgbackrest',
    caFile: fixture.server.caFile,
    credentials: fixture.server.restoreCredentials,
  });
});

function abortSoon(reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 300);
  return controller.signal;
}
