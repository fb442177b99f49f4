import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StoredObject } from '../../../src/model/backup.ts';
import { completeUpload, createUpload, uploadPart } from '../../../src/repository/multipart.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { readRetention } from '../../../src/repository/retention.ts';
import { openSink } from '../../../src/repository/sink.ts';
import { collect, type RepositoryFixture, startRepository } from './fixture.ts';

const MIB = 1024 * 1024;
const forever = new AbortController().signal;
const quiet = { signal: forever, progress: () => {}, lockedUntil: null };

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

test.each([
  ['an empty stream', 0],
  ['less than a part', 1_000],
  ['exactly one part', 8 * MIB],
  ['exactly two parts', 16 * MIB],
  ['several parts and a rest', 35 * MIB + 17],
])('%s is stored and comes back', async (name, size) => {
  const content = randomBytes(size);
  const progress: number[] = [];
  const sink = openSink(repository, 'sizes/', { ...quiet, progress: ({ done }) => progress.push(done ?? 0) });
  const stored = await sink.put(name, streamOf(content), { expectedBytes: null });
  expect(stored).toMatchObject([{ key: `sizes/${name}`, sizeBytes: size, sha256: sha256(content) }]);
  expect((await readBack(stored)).equals(content)).toBe(true);
  expect(progress.at(-1)).toBe(size);
});

test('a stream beyond the parts of one object goes on in further objects', async () => {
  const content = randomBytes(40 * MIB + 1);
  const sink = openSink(repository, 'split/', { ...quiet, partsPerObject: 2 });
  const stored = await sink.put('dump.zst', streamOf(content), { expectedBytes: null });
  expect(stored.map((object) => [object.key, object.sizeBytes])).toEqual([
    ['split/dump.zst', 16 * MIB],
    ['split/dump.zst.part2', 16 * MIB],
    ['split/dump.zst.part3', 8 * MIB + 1],
  ]);
  expect((await readBack(stored)).equals(content)).toBe(true);
});

test('a class is for what is large enough for it: whole or in parts, never for small objects', async () => {
  // The one class beside the standard one that this server has.
  const sink = openSink(repository, 'classes/', { ...quiet, storageClass: 'REDUCED_REDUNDANCY' });
  const classOf = async (size: number) => {
    const [stored] = await sink.put(String(size), streamOf(Buffer.alloc(size)), { expectedBytes: null });
    return (await readRetention(repository, stored as StoredObject)).storageClass;
  };
  expect(await classOf(128 * 1024 - 1)).toBe('STANDARD');
  expect(await classOf(128 * 1024)).toBe('REDUCED_REDUNDANCY');
  expect(await classOf(9 * MIB)).toBe('REDUCED_REDUNDANCY');
});

test('the parts grow with the size that is expected', async () => {
  const content = randomBytes(20 * MIB);
  const sink = openSink(repository, 'grown/', { ...quiet, partsPerObject: 1 });
  const stored = await sink.put('dump', streamOf(content), { expectedBytes: 120_000 * MIB });
  expect(stored.map((object) => object.sizeBytes)).toEqual([12 * MIB, 8 * MIB]);
});

test('a process that dies half way leaves no object and no open upload', async () => {
  const child = spawn('sh', ['-c', 'head -c 30000000 /dev/urandom; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const content = child.stdout.pipe(new PassThrough(), { end: false });
  child.once('exit', () => content.destroy(new Error('the dump died')));
  const sink = openSink(repository, 'died/', { ...quiet, partsPerObject: 2 });
  const storing = sink.put('dump', content, { expectedBytes: null });
  storing.catch(() => {});
  await uploadsAre(2, 'died/');
  child.kill('SIGKILL');
  await expect(storing).rejects.toThrow('the dump died');
  await expectNothing('died/');
});

test('a stream that is destroyed without an error is no end of it', async () => {
  const content = new PassThrough();
  const storing = openSink(repository, 'cut/', quiet).put('dump', content, { expectedBytes: null });
  storing.catch(() => {});
  content.write(randomBytes(1_000));
  content.destroy();
  await expect(storing).rejects.toThrow(/premature/i);
  await expectNothing('cut/');
});

test('an abort ends the upload with its reason and closes the stream', async () => {
  const controller = new AbortController();
  const content = new PassThrough();
  const sink = openSink(repository, 'aborted/', { ...quiet, signal: controller.signal });
  const storing = sink.put('dump', content, { expectedBytes: null });
  storing.catch(() => {});
  for (let written = 0; written < 20; written += 1) content.write(randomBytes(MIB));
  await uploadsAre(1, 'aborted/');
  const reason = new Error('cancelled');
  controller.abort(reason);
  await expect(storing).rejects.toBe(reason);
  expect(content.destroyed).toBe(true);
  await expectNothing('aborted/');
});

test('an abort while an upload is being opened leaves none', async () => {
  const content = randomBytes(9 * MIB);
  const own = await fixture.open();
  for (const delay of [1, 2, 3, 5, 8, 13, 21]) {
    const controller = new AbortController();
    await own.connection.request(async (s3) => {
      s3.middlewareStack.add(
        (next, { commandName }) =>
          (args) => {
            if (commandName === 'CreateMultipartUploadCommand') {
              setTimeout(() => controller.abort(new Error('cancelled')), delay);
            }
            return next(args);
          },
        { step: 'finalizeRequest', priority: 'low', name: 'abort-soon', override: true },
      );
    });
    const sink = openSink(own, 'opening/', { ...quiet, signal: controller.signal });
    await expect(sink.put('dump', streamOf(content), { expectedBytes: null })).rejects.toThrow('cancelled');
  }
  own.close();
  await expectNothing('opening/');
});

test('S3 stands still in the middle and goes on: one object, no open upload', async () => {
  const content = randomBytes(60 * MIB);
  const storing = openSink(repository, 'paused/', quiet).put('dump', streamOf(content), {
    expectedBytes: null,
  });
  await uploadsAre(1, 'paused/');
  process.kill(fixture.server.pid, 'SIGSTOP');
  await sleep(3_000);
  process.kill(fixture.server.pid, 'SIGCONT');
  expect((await readBack(await storing)).equals(content)).toBe(true);
  expect(await repository.uploads('paused/')).toEqual([]);
});

test('a killed attempt leaves an open upload, and the next one ends it', async () => {
  await createUpload(repository.connection, 'fleet/killed/1/dump', {}, forever);
  await createUpload(repository.connection, 'fleet/other/1/dump', {}, forever);
  expect(await repository.abortUploads('killed/')).toBe(1);
  expect(await repository.uploads('killed/')).toEqual([]);
  expect(await repository.uploads('other/')).toHaveLength(1);
});

test('completing again after a lost answer finds the object that was made', async () => {
  const upload = await createUpload(repository.connection, 'fleet/twice/dump', {}, forever);
  await uploadPart(repository.connection, upload, { number: 1, data: randomBytes(MIB) }, forever);
  const first = await completeUpload(repository.connection, upload, forever);
  expect(await completeUpload(repository.connection, upload, forever)).toBe(first);
});

function streamOf(content: Buffer): Readable {
  return Readable.from(
    (function* () {
      for (let start = 0; start < content.length; start += 65_521) {
        yield content.subarray(start, start + 65_521);
      }
    })(),
    { objectMode: false },
  );
}

async function readBack(objects: StoredObject[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (const object of objects) {
    const piece = Buffer.concat((await collect(repository.stream(object))) as Buffer[]);
    expect(sha256(piece)).toBe(object.sha256);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function uploadsAre(count: number, prefix: string): Promise<void> {
  await expect.poll(async () => (await repository.uploads(prefix)).length, { timeout: 30_000 }).toBe(count);
}

async function expectNothing(prefix: string): Promise<void> {
  expect(await collect(repository.versions(prefix))).toEqual([]);
  expect(await repository.uploads(prefix)).toEqual([]);
}
