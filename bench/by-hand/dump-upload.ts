import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import type { BenchStack } from '../stack.ts';

const LOCK_MS = 30 * 86_400_000;

/**
 * What a person would write: `pg_dump -Fc` with its own compression, its output handed to the SDK's managed
 * upload with its defaults; the same server, bucket, key and lock as ours.
 */
export async function dumpAndUpload(
  stack: BenchStack,
  programs: { pgDump: string },
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(stack.url);
  const dump = spawn(programs.pgDump, ['-Fc'], {
    signal,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...{ PGHOST: hostname, PGPORT: port, PGUSER: username, PGDATABASE: pathname.slice(1) },
      PGPASSWORD: decodeURIComponent(password),
    },
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    dump.once('close', resolve);
    dump.once('error', reject);
  });
  const { bucket, kmsKeyId } = stack.config.config.repository;
  const client = await connect(stack);
  try {
    const upload = new Upload({
      client,
      params: {
        Bucket: bucket,
        Key: key,
        Body: dump.stdout,
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: kmsKeyId,
        ObjectLockMode: 'COMPLIANCE',
        ObjectLockRetainUntilDate: new Date(Date.now() + LOCK_MS),
      },
    });
    const [code] = await Promise.all([ended, upload.done()]);
    if (code !== 0) throw new Error(`pg_dump ended with ${code}`);
  } finally {
    client.destroy();
  }
}

async function connect({ directory, config }: BenchStack): Promise<S3Client> {
  const { endpoint, region, caFile } = config.config.repository;
  const { secrets } = layoutOf(directory);
  return new S3Client({
    region,
    endpoint: endpoint as string,
    forcePathStyle: true,
    credentials: {
      accessKeyId: await readFile(secrets.accessKeyId, 'utf8'),
      secretAccessKey: await readFile(secrets.secretAccessKey, 'utf8'),
    },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: await readFile(caFile as string) }) }),
  });
}
