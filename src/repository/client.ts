import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { SecretReference } from '../config/schema/primitives.ts';
import type { RepositoryConfig } from '../config/schema.ts';
import { readSecret } from '../config/secrets.ts';
import { isTransient, repositoryError } from './failure.ts';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | null;
}

/** How long an S3 that does not answer is asked again, before the failure is the caller's. */
export const PATIENCE_MS = 5 * 60_000;
/** One that takes a request and says nothing is away too: no longer than this, nor than the patience. */
const LONGEST_SILENCE_MS = 60_000;
const SHORTEST_SILENCE_MS = 5_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;

/** Runs one request; asked again by {@link S3Connection.request} while S3 is away. */
type Request<T> = (client: S3Client, options: { abortSignal: AbortSignal | undefined }) => Promise<T>;

export interface S3Connection {
  bucket: string;
  /** endpoint and bucket, for people */
  where: string;
  /** Rejects with RepositoryUnavailable, RepositoryRefused, the signal's reason, or S3's own NotFound. */
  request<T>(request: Request<T>, signal?: AbortSignal): Promise<T>;
  close(): void;
}

/** What a connection is for. `admin`: the bucket's own settings, and what was deleted in it. */
export type RepositoryUse = 'backup' | 'restore' | 'admin';

/** Each use has credentials of its own where there are any. Null: the AWS default chain (instance role, SSO, variables). */
export async function credentialsFor(
  config: RepositoryConfig,
  options: { use: RepositoryUse; baseDirectory: string },
): Promise<Credentials | null> {
  const own = { backup: undefined, restore: config.restoreCredentials, admin: config.adminCredentials };
  const references = own[options.use] ?? config.credentials;
  if (references === undefined) return null;
  const { accessKeyId, secretAccessKey, sessionToken } = references;
  const read = (reference: SecretReference) => readSecret(reference, options.baseDirectory);
  return {
    accessKeyId: await read(accessKeyId),
    secretAccessKey: await read(secretAccessKey),
    sessionToken: sessionToken === undefined ? null : await read(sessionToken),
  };
}

/**
 * A connection to the bucket. Retries are ours, not the SDK's: those give up after a budget that an outage of
 * two minutes with four uploads at once exceeds, and they do not listen to an abort while they wait. With the credentials
 * `none` requests are not signed, as those of a visitor.
 */
export async function connectS3(
  config: RepositoryConfig,
  options: { credentials: Credentials | 'none' | null; baseDirectory: string; patienceMs?: number },
): Promise<S3Connection> {
  const ca =
    config.caFile === undefined ? undefined : await readFile(resolve(options.baseDirectory, config.caFile));
  const { patienceMs = PATIENCE_MS } = options;
  const client = new S3Client({
    region: config.region,
    forcePathStyle: config.pathStyle,
    maxAttempts: 1,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    ...identityOf(options.credentials),
    requestHandler: new NodeHttpHandler({
      httpsAgent: new Agent({ keepAlive: true, maxSockets: 64, ...(ca === undefined ? {} : { ca }) }),
      connectionTimeout: 10_000,
      socketTimeout: Math.max(SHORTEST_SILENCE_MS, Math.min(LONGEST_SILENCE_MS, patienceMs)),
    }),
  });
  const where = `${config.endpoint ?? `AWS ${config.region}`}, bucket ${config.bucket}`;
  return {
    bucket: config.bucket,
    where,
    request: (request, signal) =>
      persist(() => request(client, { abortSignal: signal }), {
        where,
        patienceMs,
        signal,
      }),
    close: () => client.destroy(),
  };
}

function identityOf(credentials: Credentials | 'none' | null): S3ClientConfig {
  if (credentials === null) return {};
  if (credentials === 'none') {
    const nobody = { accessKeyId: '', secretAccessKey: '' };
    return { credentials: nobody, signer: { sign: async (request) => request } };
  }
  return { credentials: forSdk(credentials) };
}

/** As clients of the SDK want them. */
export function forSdk({ sessionToken, ...keys }: Credentials) {
  return { ...keys, ...(sessionToken === null ? {} : { sessionToken }) };
}

/** Asks again with growing waits (up to 10 s) until the patience is over or the signal aborts. */
async function persist<T>(
  request: () => Promise<T>,
  options: { where: string; patienceMs: number; signal: AbortSignal | undefined },
): Promise<T> {
  const { where, patienceMs, signal } = options;
  const until = Date.now() + patienceMs;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    signal?.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTransient(error) || Date.now() + wait > until) throw repositoryError(error, where);
    }
    await sleep(wait * (0.5 + Math.random() / 2), undefined, signal === undefined ? {} : { signal }).catch(
      () => signal?.throwIfAborted(),
    );
  }
}
