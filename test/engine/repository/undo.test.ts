import { Readable } from 'node:stream';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportRecord, ImportResult } from '../../../src/engines/contract/change.ts';
import type { Run } from '../../../src/model/progress.ts';
import { openJournal } from '../../../src/repository/journal.ts';
import { undoDataFolder, undoDataOf, undoFolder } from '../../../src/repository/layout.ts';
import { createUpload } from '../../../src/repository/multipart.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { openSink } from '../../../src/repository/sink.ts';
import { openUndoStore, readImport, removeExpiredUndo } from '../../../src/repository/undo.ts';
import { markUndone, requireNotUndone } from '../../../src/repository/undone.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';

const DAY = 86_400_000;
const MIB = 1024 * 1024;
const quietly: Run = { signal: new AbortController().signal, progress: () => {} };

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

async function put(into: Repository, workflowId: string, content = 'rows', retentionMs = 30 * DAY) {
  const store = openUndoStore(into, { database: 'shop', workflowId, retentionMs }, quietly);
  const [stored] = await store.sink.put('0.inserted.zst', Readable.from([Buffer.from(content)]), {
    expectedBytes: null,
  });
  return { store, key: stored?.key as string };
}

function encryptionOf(of: Repository, key: string) {
  const { bucket, request } = of.connection;
  return request((s3) => s3.send(new HeadObjectCommand({ Bucket: bucket, Key: of.fullKey(key) })));
}

describe('undo data', () => {
  test('of two attempts never lies in one folder, which says when it expires', async () => {
    const [first, second] = [await put(repository, 'pitr/shop/x'), await put(repository, 'pitr/shop/x')];
    expect(first.store.folder).not.toBe(second.store.folder);
    expect(first.key).toBe(`${first.store.folder}0.inserted.zst`);
    expect(first.key.startsWith(undoFolder('shop', 'pitr/shop/x'))).toBe(true);
    const { folder, expiresAt } = undoDataOf(first.key) ?? {};
    expect(folder).toBe(first.store.folder);
    expect(Date.parse(expiresAt as string)).toBe(Date.parse(first.store.expiresAt));
    const left = Date.parse(first.store.expiresAt) - Date.now();
    expect(left).toBeGreaterThan(30 * DAY - 60_000);
    expect(left).toBeLessThanOrEqual(30 * DAY);
  });

  test('is encrypted with the key of the configuration, and without one with the one of the store', async () => {
    const large = 'x'.repeat(9 * MIB);
    const { key } = await put(repository, 'encrypted', large);
    expect(await encryptionOf(repository, key)).toMatchObject({
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: expect.stringContaining(fixture.config.kmsKeyId as string),
    });
    const { kmsKeyId: _, ...config } = fixture.config;
    const plain = await openRepository(config, { use: 'backup', baseDirectory: fixture.directory });
    try {
      for (const content of ['rows', large]) {
        const asked = await put(plain, 'asked', content);
        expect(await encryptionOf(plain, asked.key)).toMatchObject({ ServerSideEncryption: 'AES256' });
      }
      const sink = openSink(plain, 'backup/', { ...quietly, lockedUntil: null });
      await sink.put('x', Readable.from([Buffer.from('x')]), { expectedBytes: null });
      expect((await encryptionOf(plain, 'backup/x')).ServerSideEncryption).not.toBe('AES256');
    } finally {
      plain.close();
    }
  });

  test('is removed when its time is over, with every version and open upload, and nothing else is', async () => {
    const expired = await put(repository, 'over', 'rows', -1_000);
    await repository.put(expired.key, 'a version on top');
    const marked = await put(repository, 'over', 'rows', -1_000);
    await repository.remove(marked.key);
    const kept = await put(repository, 'over');
    const broken = undoDataFolder('shop', 'dead', { expiresAt: '2020-01-01T00:00:00.000Z', attempt: 'a' });
    await openUpload(`${broken}0.replaced.zst`);
    await openUpload(`${kept.store.folder}under-way`);
    const record = { ...RECORD, transaction: '7' };
    await openJournal(repository, 'shop', 'over').write(record);

    expect(await removeExpiredUndo(repository, new Date(), quietly)).toEqual(
      [expired.store.folder, marked.store.folder].sort(),
    );
    for (const { store } of [expired, marked]) {
      expect(await collect(repository.versions(store.folder))).toEqual([]);
    }
    expect(await repository.getText(kept.key)).toBe('rows');
    expect(await repository.uploads(broken)).toEqual([]);
    expect(await repository.uploads(kept.store.folder)).toHaveLength(1);
    expect(await readImport(repository, 'shop', 'over')).toEqual(record);
    expect(await removeExpiredUndo(repository, new Date(), quietly)).toEqual([]);
  });

  test('that may not be removed yet is hidden, however often the reaper runs', async () => {
    const { store, key } = await put(repository, 'retained', 'rows', -1_000);
    const lockedUntil = new Date(Date.now() + DAY).toISOString();
    await repository.put(key, 'rows', { lockedUntil });
    expect(await removeExpiredUndo(repository, new Date(), quietly)).toEqual([store.folder]);
    for (const again of [1, 2]) {
      expect(await removeExpiredUndo(repository, new Date(), quietly), `run ${again}`).toEqual([]);
      expect(await collect(repository.list(store.folder))).toEqual([]);
      expect(await collect(repository.versions(store.folder))).toHaveLength(2);
    }
  });
});

describe('an import that was taken back', () => {
  const table = { table: 'public.t', created: null, createdId: null, columns: ['id'], inserted: null };
  const recordOf = (key: string[] | null): ImportRecord => ({
    ...RECORD,
    undo: {
      ...{ folder: '', expiresAt: '', sizeBytes: 0 },
      server: { systemIdentifier: '', timeline: 1, lsn: '0/0' },
      tables: [{ ...table, key, replaced: null, counts: { inserted: 1, updated: 0, deleted: 0 } }],
    },
  });
  const mark = { transaction: '7', committed: true, partial: false };

  test('is taken back by nobody else, whose commit is known or left to production', async () => {
    const undo = { database: 'shop', import: 'pitr/shop/one', workflowId: 'undo/shop/one' };
    const other = { ...undo, workflowId: 'undo/shop/two' };
    expect(await requireNotUndone(repository, undo, recordOf(['id']))).toBeUndefined();
    await markUndone(repository, undo, { ...mark, committed: false });
    expect(await requireNotUndone(repository, undo, recordOf(['id']))).toBeUndefined();
    expect(await requireNotUndone(repository, other, recordOf(['id']))).toEqual({
      by: 'undo/shop/one',
      transaction: '7',
    });
    await markUndone(repository, undo, mark);
    await expect(requireNotUndone(repository, other, recordOf(['id']))).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('taken back already, by undo/shop/one'),
    });
  });

  test('in part can be taken back for the rest, unless a table has no key', async () => {
    const undo = { database: 'shop', import: 'pitr/shop/part', workflowId: 'undo/shop/part' };
    const other = { ...undo, workflowId: 'undo/shop/rest' };
    await markUndone(repository, undo, { ...mark, partial: true });
    expect(await requireNotUndone(repository, other, recordOf(['id']))).toBeUndefined();
    await expect(requireNotUndone(repository, other, recordOf(null))).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('public.t has no key'),
    });
  });
});

const RESULT: ImportResult = { tables: [], transaction: '1', alreadyDone: false, undo: null };
const RECORD: ImportRecord = { transaction: '1', planDigest: 'd', result: RESULT, undo: null };

test('the import of a runbook is the last that its journal has', async () => {
  const journal = openJournal(repository, 'shop', 'pitr/shop/twice');
  await journal.write(RECORD);
  await journal.write({ ...RECORD, transaction: '2' });
  expect((await readImport(repository, 'shop', 'pitr/shop/twice')).transaction).toBe('2');
  await expect(readImport(repository, 'shop', 'pitr/shop/none')).rejects.toMatchObject({
    type: 'InvalidInput',
    retryable: false,
  });
});

async function openUpload(key: string): Promise<void> {
  await createUpload(repository.connection, repository.fullKey(key), {}, quietly.signal);
}
