import { PutObjectLegalHoldCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCatalog } from '../../../src/repository/catalog.ts';
import { manifestKey } from '../../../src/repository/layout.ts';
import { writeManifest } from '../../../src/repository/manifests.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { lockUntil, readRetention } from '../../../src/repository/retention.ts';
import { base } from '../../unit/repository/recoverability.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

const inDays = (days: number) =>
  new Date(Math.ceil(Date.now() / 1_000) * 1_000 + days * 86_400_000).toISOString();

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

test('a lock is set, extended, and never shortened; asking again is right', async () => {
  const stored = await repository.put('a', 'content');
  expect(await readRetention(repository, stored)).toMatchObject({
    ...{ lock: null, legalHold: false, encrypted: true, storageClass: 'STANDARD' },
    kmsKeyId: expect.stringContaining(fixture.server.kmsKeyId),
  });
  const [day, two] = [inDays(1), inDays(2)];
  for (const [until, expected] of [
    [day, day],
    [day, day],
    [two, two],
    [day, two],
  ] as const) {
    await lockUntil(repository, stored, until);
    expect((await readRetention(repository, stored)).lock).toEqual({ mode: 'GOVERNANCE', until: expected });
  }
  await expect(repository.remove('a', stored.versionId)).rejects.toMatchObject({ type: 'RepositoryRefused' });
});

test('only the version that is named is locked, and nothing where no lock is configured', async () => {
  const [older, newer] = [await repository.put('b', 'older'), await repository.put('b', 'newer')];
  await lockUntil(repository, older, inDays(1));
  expect((await readRetention(repository, older)).lock).not.toBeNull();
  expect((await readRetention(repository, newer)).lock).toBeNull();
  const { lock: _, ...config } = fixture.config;
  const without = await openRepository(config, { use: 'backup', baseDirectory: fixture.directory });
  await lockUntil(without, newer, inDays(1));
  without.close();
  expect((await readRetention(repository, newer)).lock).toBeNull();
});

test('a lock of the bucket’s other mode is extended as it is', async () => {
  const stored = await repository.put('c', 'content');
  const named = { Bucket: fixture.config.bucket, Key: repository.fullKey('c') };
  const until = inDays(1);
  await repository.connection.request((s3) =>
    s3.send(
      new PutObjectRetentionCommand({
        ...named,
        Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(until) },
      }),
    ),
  );
  const later = inDays(3);
  await lockUntil(repository, stored, later);
  expect((await readRetention(repository, stored)).lock).toEqual({ mode: 'COMPLIANCE', until: later });
});

test('a legal hold is seen; what is not there cannot be locked', async () => {
  const stored = await repository.put('d', 'content');
  const held = (Status: 'ON' | 'OFF') =>
    repository.connection.request((s3) =>
      s3.send(
        new PutObjectLegalHoldCommand({
          ...{ Bucket: fixture.config.bucket, Key: repository.fullKey('d') },
          LegalHold: { Status },
        }),
      ),
    );
  await held('ON');
  expect((await readRetention(repository, stored)).legalHold).toBe(true);
  await held('OFF');
  expect((await readRetention(repository, stored)).legalHold).toBe(false);
  await expect(readRetention(repository, { key: 'nothing', versionId: null })).rejects.toThrow();
  await expect(lockUntil(repository, { key: 'nothing', versionId: null }, inDays(1))).rejects.toThrow();
});

test('the catalog shows what a person holds, and hides what lifecycle rules may have removed', async () => {
  const manifest = (id: string, expiresAt: string) =>
    writeManifest(repository, {
      ...base(id, 1, 0),
      ...{ tier: 'logical', expiresAt },
    });
  await manifest('kept', inDays(1));
  await manifest('held', inDays(1));
  await manifest('over', new Date(Date.now() - 1_000).toISOString());
  await repository.connection.request((s3) =>
    s3.send(
      new PutObjectLegalHoldCommand({
        ...{ Bucket: fixture.config.bucket, Key: repository.fullKey(manifestKey('shop', 'held')) },
        LegalHold: { Status: 'ON' },
      }),
    ),
  );
  const options = { stanza: 'shop', former: [], now: new Date(), holds: true };
  const { backups } = await readCatalog(repository, 'shop', options);
  expect(backups.map(({ id, legalHold }) => [id, legalHold]).sort()).toEqual([
    ['held', true],
    ['kept', undefined],
  ]);
});
