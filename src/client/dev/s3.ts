import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, PutBucketEncryptionCommand, S3Client } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { HoldfastError } from '../../model/failure.ts';
import { type PolicyDocument, restorePolicy, writerPolicy } from '../../repository/bucket/policies.ts';
import { loopbackCertificate } from './s3-certificate.ts';

const TOOLS = fileURLToPath(new URL('../../../.tools/bin', import.meta.url));
const KMS_KEY = 'holdfast-key';
/** MinIO's longest. Shorter ones would end under a development environment that is left running. */
const CREDENTIALS_SECONDS = 365 * 86_400;

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** How to reach an S3 server, and the key that its bucket encrypts with. */
export interface S3Facts {
  endpoint: string;
  region: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
  caFile: string;
  kmsKeyId: string;
}

/** A running S3 server for development and tests, over TLS on loopback. */
export interface S3Server extends S3Facts {
  pid: number;
  /** may write, but delete no version and change no setting; the server's own may do everything */
  writerCredentials: Required<S3Credentials>;
  /** may list and read this bucket, nothing else */
  restoreCredentials: Required<S3Credentials>;
  stop(): Promise<void>;
}

/**
 * Starts MinIO detached, so that it outlives its starter, with a bucket that has Object Lock (no default
 * retention) and SSE-KMS by default. Everything it knows lies in `directory`: a second start there goes on
 * from the same state. `port` 0 takes a free one. Throws ToolMissing, InvalidConfiguration (port taken).
 */
export async function startS3(options: {
  directory: string;
  port: number;
  region: string;
  bucket: string;
  signal?: AbortSignal;
}): Promise<S3Server> {
  const { directory, region, bucket } = options;
  await mkdir(directory, { recursive: true });
  await mkdir(join(directory, 'data'), { recursive: true, mode: 0o700 });
  const root = await rootCredentials(directory);
  const { caFile, certsDirectory } = await loopbackCertificate(directory);
  const port = await usablePort(options.port);
  const pid = await spawnMinio({ directory, certsDirectory, port, region, root });
  try {
    const endpoint = `https://127.0.0.1:${port}`;
    const client = {
      endpoint,
      region,
      credentials: { accessKeyId: root.accessKeyId, secretAccessKey: root.secretAccessKey },
      requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: await readFile(caFile) }) }),
    };
    await createBucket(new S3Client({ ...client, forcePathStyle: true, maxAttempts: 1 }), bucket, () => {
      options.signal?.throwIfAborted();
      if (!isMinio(pid)) throw failedToStart(directory);
    });
    const repository = { endpoint, region, bucket, prefix: '', kmsKeyId: KMS_KEY };
    const sts = new STSClient(client);
    try {
      return {
        endpoint,
        region,
        bucket,
        accessKeyId: root.accessKeyId,
        secretAccessKey: root.secretAccessKey,
        caFile,
        kmsKeyId: KMS_KEY,
        pid,
        writerCredentials: await credentialsUnder(sts, 'holdfast-writer', writerPolicy({ repository })),
        restoreCredentials: await credentialsUnder(sts, 'holdfast-restore', restorePolicy({ repository })),
        stop: () => stopS3(pid),
      };
    } finally {
      sts.destroy();
    }
  } catch (error) {
    await stopS3(pid);
    throw error;
  }
}

/** Ends a server that {@link startS3} started, by its process id. One that is gone already is success. */
export async function stopS3(pid: number): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGTERM', 5_000],
    ['SIGKILL', 2_000],
  ] as const) {
    if (!isMinio(pid)) return;
    process.kill(pid, signal);
    const until = Date.now() + patienceMs;
    while (Date.now() < until && isMinio(pid)) await sleep(20);
  }
}

/** A process id may have gone to another process since; one that has ended has an empty command line. */
function isMinio(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith('minio') ?? false;
  } catch {
    return false;
  }
}

interface RootCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  kmsKey: string;
}

async function rootCredentials(directory: string): Promise<RootCredentials> {
  const file = join(directory, 'credentials.json');
  const made: RootCredentials = {
    accessKeyId: `holdfast${randomBytes(6).toString('hex')}`,
    secretAccessKey: randomBytes(24).toString('base64url'),
    kmsKey: randomBytes(32).toString('base64'),
  };
  try {
    await writeFile(file, JSON.stringify(made), { mode: 0o600, flag: 'wx' });
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return JSON.parse(await readFile(file, 'utf8')) as RootCredentials;
  }
}

/** The port itself where it is free, a free one for 0. */
async function usablePort(port: number): Promise<number> {
  const probe = createServer();
  try {
    return await new Promise<number>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen(port, '127.0.0.1', () => {
        const address = probe.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  } catch (error) {
    throw new HoldfastError('InvalidConfiguration', `port ${port} for S3 on 127.0.0.1 cannot be used`, {
      hint: 'end what listens there, or choose another port',
      cause: error,
    });
  } finally {
    probe.close();
  }
}

async function spawnMinio(options: {
  directory: string;
  certsDirectory: string;
  port: number;
  region: string;
  root: RootCredentials;
}): Promise<number> {
  const { directory, certsDirectory, port, region, root } = options;
  const log = await open(join(directory, 'minio.log'), 'a');
  try {
    const child = spawn(
      'minio',
      ['server', '--address', `127.0.0.1:${port}`, '--certs-dir', certsDirectory, join(directory, 'data')],
      {
        cwd: directory,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: {
          ...process.env,
          PATH: `${TOOLS}${delimiter}${process.env.PATH ?? ''}`,
          HOME: directory,
          MINIO_ROOT_USER: root.accessKeyId,
          MINIO_ROOT_PASSWORD: root.secretAccessKey,
          MINIO_KMS_SECRET_KEY: `${KMS_KEY}:${root.kmsKey}`,
          MINIO_REGION: region,
          MINIO_BROWSER: 'off',
          MINIO_UPDATE: 'off',
        },
      },
    );
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return child.pid as number;
  } catch (error) {
    throw new HoldfastError('ToolMissing', 'the program minio cannot be started', {
      hint: 'run scripts/setup.sh, which puts it under .tools/bin',
      cause: error,
    });
  } finally {
    await log.close();
  }
}

function failedToStart(directory: string): HoldfastError {
  return new HoldfastError('ToolFailed', 'the S3 server ended while it was starting', {
    hint: `its own words are in ${join(directory, 'minio.log')}`,
  });
}

/** Creating the bucket is also the wait for the server. */
async function createBucket(client: S3Client, bucket: string, checkAlive: () => void): Promise<void> {
  const until = Date.now() + 60_000;
  for (;;) {
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
      break;
    } catch (error) {
      if ((error as Error).name === 'BucketAlreadyOwnedByYou') break;
      checkAlive();
      if (Date.now() > until) throw error;
      await sleep(50);
    }
  }
  await client.send(
    new PutBucketEncryptionCommand({
      Bucket: bucket,
      ServerSideEncryptionConfiguration: {
        Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: KMS_KEY } }],
      },
    }),
  );
  client.destroy();
}

/** Credentials that may do what the policy says, of what the server's own may. */
async function credentialsUnder(
  sts: STSClient,
  role: string,
  policy: PolicyDocument,
): Promise<Required<S3Credentials>> {
  const { Credentials: made } = await sts.send(
    new AssumeRoleCommand({
      RoleArn: `arn:aws:iam::000000000000:role/${role}`,
      RoleSessionName: role,
      DurationSeconds: CREDENTIALS_SECONDS,
      Policy: JSON.stringify(policy),
    }),
  );
  if (!made?.AccessKeyId || !made.SecretAccessKey || !made.SessionToken) {
    throw new HoldfastError('ToolFailed', `the S3 server gave no credentials for ${role}`);
  }
  return {
    accessKeyId: made.AccessKeyId,
    secretAccessKey: made.SecretAccessKey,
    sessionToken: made.SessionToken,
  };
}
