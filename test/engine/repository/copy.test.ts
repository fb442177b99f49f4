import { GetObjectRetentionCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { S3Connection } from '../../../src/repository/client.ts';
import { copyObject } from '../../../src/repository/copy.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;

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

test('copies the version that is named, whatever its key is made of and lies on top of it, with its lock', async () => {
  const key = 'logical/shop/x/a key +%&=?é "…" of a db.zst';
  const first = await repository.put(key, 'as it was', { contentType: 'text/plain' });
  await repository.put(key, 'forged');
  await repository.remove(key);
  const lockedUntil = new Date(Date.now() + DAY_MS).toISOString();
  let bytes = 0;
  const onBytes = (more: number) => {
    bytes += more;
  };
  const copied = await copyObject(repository, first, `copy of ${key}`, { lockedUntil, onBytes });
  expect(copied).toMatchObject({ key: `copy of ${key}`, sizeBytes: 9 });
  expect(await repository.getText({ ...copied, sha256: first.sha256 })).toBe('as it was');
  expect(bytes).toBe(9);
  const { Retention } = await repository.connection.request((s3) =>
    s3.send(
      new GetObjectRetentionCommand({
        ...{ Bucket: fixture.config.bucket, Key: repository.fullKey(copied.key) },
        VersionId: copied.versionId ?? '',
      }),
    ),
  );
  expect(Retention?.RetainUntilDate?.toISOString().slice(0, 19)).toBe(lockedUntil.slice(0, 19));
});

test('copies in parts what is too large for one request, and leaves no upload where that fails', async () => {
  const content = Buffer.alloc(11 * MIB + 3, 'abcdefgh');
  const stored = await repository.put('large', content);
  const copied = await copyObject(repository, { key: 'large', versionId: null }, 'in parts', {
    partBytes: 5 * MIB,
  });
  expect(copied.sizeBytes).toBe(content.length);
  expect(await repository.getText({ ...copied, sha256: stored.sha256 })).toHaveLength(content.length);

  const ended = new AbortController();
  const onBytes = () => ended.abort(new Error('the worker is told to stop'));
  await expect(
    copyObject(repository, stored, 'stopped', { partBytes: 5 * MIB, signal: ended.signal, onBytes }),
  ).rejects.toThrow('the worker is told to stop');
  expect(await repository.uploads('stopped')).toEqual([]);
  expect(await repository.getText('stopped')).toBeNull();
});

test('may be tried again where another attempt has ended its upload', async () => {
  const stored = await repository.put('contended', Buffer.alloc(11 * MIB, 'x'));
  // Whatever it has asked for, the other one tidies up next.
  const request: S3Connection['request'] = async (...given) => {
    const answer = await repository.connection.request(...given);
    await repository.abortUploads('contended copy');
    return answer;
  };
  const contended = { ...repository, connection: { ...repository.connection, request } };
  const copying = copyObject(contended, stored, 'contended copy', { partBytes: 5 * MIB });
  await expect(copying).rejects.toMatchObject({ type: 'RepositoryUnavailable', retryable: true });
});

test('says what is not there any more', async () => {
  const gone = await repository.put('gone', 'x');
  await repository.remove('gone', gone.versionId);
  await expect(copyObject(repository, gone, 'there')).rejects.toThrow(
    'gone is not in the repository any more',
  );
});
