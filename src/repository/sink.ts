import { createHash, type Hash } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import type { ObjectSink } from '../engines/contract/backup.ts';
import type { StoredObject } from '../model/backup.ts';
import type { StorageClass } from '../model/lifecycle.ts';
import type { Run } from '../model/progress.ts';
import { SMALLEST_MOVED_BYTES } from './lifecycle/charges.ts';
import { CLEANUP_MS, completeUpload, createUpload, type MultipartUpload, uploadPart } from './multipart.ts';
import { type Part, partsOf } from './parts.ts';
import type { Repository, WriteOptions } from './repository.ts';
import { abortUpload } from './uploads.ts';

const MIB = 1024 * 1024;
const SMALLEST_PART = 8 * MIB;
const LARGEST_PART = 16 * MIB;
/** S3's own limit. */
const MOST_PARTS = 10_000;
/** Parts on their way and the one being filled, of a stream of any size; TLS holds about as much again. */
const BUFFERED_BYTES = 32 * MIB;
const FEWEST_BUFFERS = 3;

export interface SinkOptions {
  signal: AbortSignal;
  progress?: Run['progress'];
  /** ISO 8601, or null: not locked */
  lockedUntil: string | null;
  /** as in {@link WriteOptions} */
  encrypted?: boolean;
  /** as in {@link WriteOptions}; small objects stay in the store's own class, which is cheaper for them */
  storageClass?: StorageClass | null;
  /** a stream goes on in a further object (`name.part2`) after this many parts; tests set it small */
  partsPerObject?: number;
}

/**
 * Where the streams of one attempt go, under a prefix that no other attempt writes. An object appears only
 * when its whole stream has ended well; otherwise its uploads are aborted and nothing is left. To restore a
 * stream that was split, concatenate its objects in order.
 */
export function openSink(repository: Repository, prefix: string, options: SinkOptions): ObjectSink {
  let storedBytes = 0;
  const report = (bytes: number) => {
    storedBytes += bytes;
    options.progress?.({ phase: 'uploading', done: storedBytes, unit: 'bytes' });
  };
  return {
    async put(name, content, { expectedBytes }) {
      const stream = new StreamUpload({ repository, key: `${prefix}${name}`, options, report, content });
      return stream.run(partSize(expectedBytes));
    },
  };
}

function writeOptions({ lockedUntil, encrypted = false, storageClass = null }: SinkOptions): WriteOptions {
  return { lockedUntil, encrypted, storageClass };
}

function partSize(expectedBytes: number | null): number {
  const needed = Math.ceil((expectedBytes ?? 0) / MOST_PARTS);
  return Math.min(Math.max(needed, SMALLEST_PART), LARGEST_PART);
}

interface StreamUploadInput {
  repository: Repository;
  key: string;
  options: SinkOptions;
  report: (bytes: number) => void;
  content: Readable;
}

/** One object of the stream: all of them stay open until the stream has ended, so that none appears before. */
interface Piece {
  upload: MultipartUpload;
  hash: Hash;
  partCount: number;
}

class StreamUpload {
  readonly #input: StreamUploadInput;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #pieces: Piece[] = [];
  readonly #underWay = new Set<Promise<void>>();

  constructor(input: StreamUploadInput) {
    this.#input = input;
    this.#signal = AbortSignal.any([input.options.signal, this.#failed.signal]);
    addAbortSignal(this.#signal, input.content);
  }

  async run(partBytes: number): Promise<StoredObject[]> {
    try {
      const buffers = Math.max(FEWEST_BUFFERS, Math.floor(BUFFERED_BYTES / partBytes));
      for await (const part of partsOf(this.#input.content, partBytes, buffers)) {
        if (part.isLast && this.#pieces.length === 0) return [await this.#putWhole(part)];
        await this.#send(part);
      }
      await Promise.all(this.#underWay);
      this.#signal.throwIfAborted();
      return await this.#complete();
    } catch (error) {
      // The first failure is what happened; those of the stream and the other parts only follow from it.
      const cause = this.#signal.aborted ? this.#signal.reason : error;
      this.#failed.abort(cause);
      await this.#cleanUp();
      throw cause;
    }
  }

  async #putWhole(part: Part): Promise<StoredObject> {
    const { repository, key, options, report } = this.#input;
    const stored = await repository.put(key, part.data, {
      ...writeOptions(options),
      ...(part.data.length < SMALLEST_MOVED_BYTES ? { storageClass: null } : {}),
      signal: this.#signal,
    });
    report(part.data.length);
    return stored;
  }

  /** Starts the part on its way; waits only for a buffer, in {@link partsOf}. */
  async #send(part: Part): Promise<void> {
    const piece = await this.#pieceForNextPart();
    piece.partCount += 1;
    piece.hash.update(part.data);
    const { repository, report } = this.#input;
    const sending = uploadPart(
      repository.connection,
      piece.upload,
      { number: piece.partCount, data: part.data },
      this.#signal,
    )
      .then(
        () => report(part.data.length),
        (error: unknown) => this.#failed.abort(error),
      )
      .finally(() => {
        part.release();
        this.#underWay.delete(sending);
      });
    this.#underWay.add(sending);
  }

  async #pieceForNextPart(): Promise<Piece> {
    const current = this.#pieces.at(-1);
    const { repository, key, options } = this.#input;
    if (current !== undefined && current.partCount < (options.partsPerObject ?? MOST_PARTS)) return current;
    const number = this.#pieces.length + 1;
    const piece = {
      upload: await createUpload(
        repository.connection,
        repository.fullKey(number === 1 ? key : `${key}.part${number}`),
        repository.writeParameters(writeOptions(options)),
        this.#signal,
      ),
      hash: createHash('sha256'),
      partCount: 0,
    };
    this.#pieces.push(piece);
    return piece;
  }

  async #complete(): Promise<StoredObject[]> {
    const stored: StoredObject[] = [];
    const { repository, key } = this.#input;
    for (const [index, { upload, hash }] of this.#pieces.entries()) {
      const versionId = await completeUpload(repository.connection, upload, this.#signal);
      stored.push({
        key: index === 0 ? key : `${key}.part${index + 1}`,
        versionId,
        sizeBytes: upload.sizeBytes,
        sha256: hash.digest('hex'),
      });
    }
    return stored;
  }

  /** A part that is still on its way could outlive an abort, so those are waited for first. */
  async #cleanUp(): Promise<void> {
    this.#input.content.destroy();
    await Promise.allSettled(this.#underWay);
    const { connection } = this.#input.repository;
    const patience = AbortSignal.timeout(CLEANUP_MS);
    await Promise.allSettled(this.#pieces.map(({ upload }) => abortUpload(connection, upload, patience)));
  }
}
