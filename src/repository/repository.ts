import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutObjectCommand,
  type StorageClass as S3StorageClass,
} from '@aws-sdk/client-s3';
import type { RepositoryConfig } from '../config/schema.ts';
import type { StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { StorageClass } from '../model/lifecycle.ts';
import { connectS3, credentialsFor, type RepositoryUse, type S3Connection } from './client.ts';
import { isNotFound, isPresent } from './failure.ts';
import { readObject } from './read.ts';
import { abortUploads, listUploads, type OpenUpload } from './uploads.ts';

export interface ListedObject {
  key: string;
  sizeBytes: number;
  lastModified: string;
  /** null: the store names none */
  storageClass: string | null;
}

export interface ListedVersion extends ListedObject {
  versionId: string | null;
  isLatest: boolean;
  isDeleteMarker: boolean;
}

/** A StoredObject, or as much of it as is known. */
export type ReadableObject = Pick<StoredObject, 'key' | 'versionId'> & Partial<StoredObject>;

export interface WriteOptions {
  contentType?: string;
  /** ISO 8601; counts only where the configuration names a lock mode */
  lockedUntil?: string | null;
  /** asks the store to encrypt with its own key where the configuration names none; one that cannot refuses */
  encrypted?: boolean;
  /** null, and left out: the store's own */
  storageClass?: StorageClass | null;
  signal?: AbortSignal;
}

/** The part of a write request that encryption and lock need. */
export interface WriteParameters {
  ServerSideEncryption?: 'aws:kms' | 'AES256';
  SSEKMSKeyId?: string;
  ObjectLockMode?: 'COMPLIANCE' | 'GOVERNANCE';
  ObjectLockRetainUntilDate?: Date;
  ContentType?: string;
  StorageClass?: S3StorageClass;
}

/** The bucket under its prefix. Every key, also those in a StoredObject, is relative to the prefix. */
export interface Repository {
  readonly connection: S3Connection;
  /** the key within the bucket, for commands that people run without Holdfast */
  fullKey(key: string): string;
  writeParameters(options: WriteOptions): WriteParameters;
  put(key: string, body: string | Buffer, options?: WriteOptions): Promise<StoredObject>;
  /** The same, but an object that is there stays, and the answer is false: of two writers one is first. */
  create(key: string, body: string | Buffer, options?: WriteOptions): Promise<boolean>;
  /**
   * A StoredObject is read in its version, and its sha256 is compared (ChecksumMismatch). A key is read in its
   * latest version, or the newest real one when a delete marker lies on top. Null where there is none.
   */
  getText(object: string | ReadableObject, signal?: AbortSignal): Promise<string | null>;
  /** The same, parsed. Of a key over which somebody has written what is no JSON, the newest version that is. */
  getJson<T>(object: string | ReadableObject, signal?: AbortSignal): Promise<T | null>;
  /** The content in this version; goes on where it broke off while S3 was away. Not compared to the sha256. */
  stream(object: Pick<StoredObject, 'key' | 'versionId' | 'sizeBytes'>, signal?: AbortSignal): Readable;
  /** In the order of the keys; those behind `after` alone, where it is given. */
  list(prefix: string, signal?: AbortSignal, after?: string): AsyncIterable<ListedObject>;
  /** The folders right under a prefix that ends with a slash, with their slash. */
  folders(prefix: string, signal?: AbortSignal): Promise<string[]>;
  /** Every version and delete marker, by key, newest first. */
  versions(prefix: string, signal?: AbortSignal): AsyncIterable<ListedVersion>;
  /** Without a version: a delete marker on a versioned bucket. Not there is success. */
  remove(key: string, versionId?: string | null): Promise<void>;
  /** Open multipart uploads. S3 servers that list only by the exact key are asked for everything as well. */
  uploads(prefix: string): Promise<OpenUpload[]>;
  /** Ends the open multipart uploads that a killed attempt left; returns their number. */
  abortUploads(prefix: string): Promise<number>;
  close(): void;
}

/**
 * Opens the repository for backups (may write), for restores (`restoreCredentials`, where there are any) or for its own
 * settings (`adminCredentials`).
 * `patienceMs` is how long an S3 that is away is asked again, by default five minutes; commands that a person
 * waits for want less.
 */
export async function openRepository(
  config: RepositoryConfig,
  options: { use: RepositoryUse; baseDirectory: string; patienceMs?: number },
): Promise<Repository> {
  const connection = await connectS3(config, {
    credentials: await credentialsFor(config, options),
    baseDirectory: options.baseDirectory,
    ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
  });
  return repositoryOver(connection, config);
}

function repositoryOver(connection: S3Connection, config: RepositoryConfig): Repository {
  const Bucket = connection.bucket;
  const fullKey = (key: string) => `${config.prefix}${key}`;
  const ownKey = (key: string) => key.slice(config.prefix.length);

  const repository: Repository = {
    connection,
    fullKey,
    writeParameters: (options) => writeParameters(config, options),

    async put(key, body, options = {}) {
      const content = Buffer.from(body);
      const command = () =>
        new PutObjectCommand({
          Bucket,
          Key: fullKey(key),
          Body: content,
          ...writeParameters(config, options),
        });
      const answer = await connection.request((s3, abort) => s3.send(command(), abort), options.signal);
      return {
        key,
        versionId: answer.VersionId ?? null,
        sizeBytes: content.length,
        sha256: createHash('sha256').update(content).digest('hex'),
      };
    },

    async create(key, body, options = {}) {
      const command = (condition: { IfNoneMatch?: string }) =>
        new PutObjectCommand({
          Bucket,
          Key: fullKey(key),
          Body: Buffer.from(body),
          ...writeParameters(config, options),
          ...condition,
        });
      const send = (condition: { IfNoneMatch?: string }) =>
        connection.request((s3, abort) => s3.send(command(condition), abort), options.signal);
      try {
        await send({ IfNoneMatch: '*' });
        return true;
      } catch (error) {
        if (isPresent(error)) return false;
        const { cause } = error as { cause?: { name?: string } };
        if (cause?.name !== 'NotImplemented') throw error;
        // An S3 without conditional writes: the caller has looked before.
        await send({});
        return true;
      }
    },

    async getText(object, signal) {
      const { key, versionId } = typeof object === 'string' ? { key: object, versionId: null } : object;
      const content =
        (await getBuffer(connection, fullKey(key), versionId, signal)) ??
        (versionId === null ? await belowMarker(repository, key, signal) : null);
      if (content === null) return null;
      if (typeof object === 'object') assertSha256(object, content);
      return content.toString('utf8');
    },

    async getJson<T>(object: Parameters<Repository['getText']>[0], signal?: AbortSignal) {
      const text = await repository.getText(object, signal);
      if (text === null) return null;
      try {
        return JSON.parse(text) as T;
      } catch (error) {
        if (!(error instanceof SyntaxError) || typeof object !== 'string') throw error;
        return belowForgery<T>(repository, object, signal);
      }
    },

    stream: (object, signal) => readObject(connection, { ...object, key: fullKey(object.key) }, signal),

    async *list(prefix, signal, after) {
      const input = {
        Prefix: fullKey(prefix),
        ...(after === undefined ? {} : { StartAfter: fullKey(after) }),
      };
      for await (const page of pages(connection, input, signal)) {
        for (const { Key, Size, LastModified, StorageClass } of page.Contents ?? []) {
          if (Key === undefined) continue;
          const listed = { key: ownKey(Key), sizeBytes: Size ?? 0, lastModified: isoTime(LastModified) };
          yield { ...listed, storageClass: StorageClass ?? null };
        }
      }
    },

    async folders(prefix, signal) {
      const found: string[] = [];
      for await (const page of pages(connection, { Prefix: fullKey(prefix), Delimiter: '/' }, signal)) {
        found.push(...(page.CommonPrefixes ?? []).map((folder) => ownKey(folder.Prefix ?? '')));
      }
      return found;
    },

    async *versions(prefix, signal) {
      let next: Pick<ListObjectVersionsCommandOutput, 'NextKeyMarker' | 'NextVersionIdMarker'> = {};
      do {
        const command = () =>
          new ListObjectVersionsCommand({
            Bucket,
            Prefix: fullKey(prefix),
            ...(next.NextKeyMarker === undefined ? {} : { KeyMarker: next.NextKeyMarker }),
            ...(next.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: next.NextVersionIdMarker }),
          });
        const page = await connection.request((s3, abort) => s3.send(command(), abort), signal);
        yield* versionsOf(page, ownKey);
        next = page.IsTruncated === true ? page : {};
      } while (next.NextKeyMarker !== undefined);
    },

    async remove(key, versionId) {
      const command = () =>
        new DeleteObjectCommand({
          Bucket,
          Key: fullKey(key),
          ...(versionId == null ? {} : { VersionId: versionId }),
        });
      await connection
        .request((s3) => s3.send(command()))
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        });
    },

    uploads: async (prefix) =>
      (await listUploads(connection, fullKey(prefix))).map((upload) => ({
        ...upload,
        key: ownKey(upload.key),
      })),
    abortUploads: (prefix) => abortUploads(connection, fullKey(prefix)),
    close: () => connection.close(),
  };
  return repository;
}

/** Of a key that somebody has written something else over: the newest version that can be read. */
async function belowForgery<T>(repository: Repository, key: string, signal?: AbortSignal): Promise<T | null> {
  for await (const version of repository.versions(key, signal)) {
    if (version.key !== key || version.isDeleteMarker || version.isLatest) continue;
    const text = await repository.getText({ key, versionId: version.versionId }, signal);
    try {
      return JSON.parse(text ?? '') as T;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return null;
}

function writeParameters(config: RepositoryConfig, options: WriteOptions): WriteParameters {
  return {
    ...encryption(config, options),
    ...(config.lock === undefined || options.lockedUntil == null
      ? {}
      : { ObjectLockMode: config.lock.mode, ObjectLockRetainUntilDate: new Date(options.lockedUntil) }),
    ...(options.contentType === undefined ? {} : { ContentType: options.contentType }),
    ...(options.storageClass == null ? {} : { StorageClass: options.storageClass as S3StorageClass }),
  };
}

function encryption(config: RepositoryConfig, options: WriteOptions): WriteParameters {
  if (config.kmsKeyId !== undefined) return { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: config.kmsKeyId };
  return options.encrypted === true ? { ServerSideEncryption: 'AES256' } : {};
}

async function getBuffer(
  connection: S3Connection,
  key: string,
  versionId: string | null,
  signal?: AbortSignal,
): Promise<Buffer | null> {
  const command = () =>
    new GetObjectCommand({
      Bucket: connection.bucket,
      Key: key,
      ...(versionId === null ? {} : { VersionId: versionId }),
    });
  try {
    return await connection.request(async (s3, abort) => {
      const answer = await s3.send(command(), abort);
      return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
    }, signal);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

async function belowMarker(
  repository: Repository,
  key: string,
  signal?: AbortSignal,
): Promise<Buffer | null> {
  for await (const version of repository.versions(key, signal)) {
    if (version.key === key && !version.isDeleteMarker && version.versionId !== null) {
      return getBuffer(repository.connection, repository.fullKey(key), version.versionId, signal);
    }
  }
  return null;
}

function assertSha256(object: ReadableObject, content: Buffer): void {
  if (object.sha256 === undefined) return;
  if (createHash('sha256').update(content).digest('hex') === object.sha256) return;
  throw new HoldfastError('ChecksumMismatch', `${object.key} is not what was stored: its sha256 differs`, {
    hint: 'use another backup, and look for who wrote to the repository',
  });
}

async function* pages(
  connection: S3Connection,
  input: { Prefix: string; Delimiter?: string; StartAfter?: string },
  signal?: AbortSignal,
) {
  let token: string | undefined;
  do {
    const command = () =>
      new ListObjectsV2Command({
        Bucket: connection.bucket,
        ...input,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
    const page = await connection.request((s3, abort) => s3.send(command(), abort), signal);
    yield page;
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

export function versionsOf(
  page: ListObjectVersionsCommandOutput,
  ownKey: (key: string) => string,
): ListedVersion[] {
  const found = [
    ...(page.Versions ?? []).map((version) => ({ ...version, isDeleteMarker: false })),
    ...(page.DeleteMarkers ?? []).map((marker) => ({ ...marker, Size: 0, isDeleteMarker: true })),
  ].map((entry) => ({
    key: ownKey(entry.Key ?? ''),
    versionId: entry.VersionId ?? null,
    sizeBytes: entry.Size ?? 0,
    lastModified: isoTime(entry.LastModified),
    storageClass: 'StorageClass' in entry ? (entry.StorageClass ?? null) : null,
    isLatest: entry.IsLatest ?? false,
    isDeleteMarker: entry.isDeleteMarker,
  }));
  // S3 lists a key's versions newest first; the sort is stable and only brings the markers in between.
  return found.sort((a, b) => compare(a.key, b.key) || compare(b.lastModified, a.lastModified));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isoTime(date: Date | undefined): string {
  return (date ?? new Date(0)).toISOString();
}
